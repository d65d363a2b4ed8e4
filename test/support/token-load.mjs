// Load on one token, as a program of its own: `node token-load.mjs URL WAITS REGISTRATIONS_PER_SECOND`. Each wait asks
// again as soon as it is answered, as etcd does; registrations come at their rate while the token has room, though no
// more of them at a time than LANES. It says `loaded` when every wait has been answered once, and at the end what it did.
import net from "node:net";

const LANES = 20;
/** The largest size that a token may have. */
const ROOM = 1000;

const [target = "", waits = "0", rate = "0"] = process.argv.slice(2);
const url = new URL(target);
const done = { answers: 0, registrations: 0 };

/** A connection that calls `onAnswer(send, body)` for every answer. */
function connect(onAnswer) {
  const socket = net.connect(Number(url.port), url.hostname);
  socket.setNoDelay(true);
  let pending = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    pending += chunk;
    for (let answer = readAnswer(pending); answer !== undefined; answer = readAnswer(pending)) {
      pending = pending.slice(answer.length);
      onAnswer((request) => socket.write(request), answer.body);
    }
  });
  return (request) => socket.write(request);
}

/** The first whole answer in a text, by its length or its last chunk. */
function readAnswer(text) {
  const head = text.indexOf("\r\n\r\n");
  if (head === -1) {
    return undefined;
  }
  const sized = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head));
  const begin = head + 4;
  const last = sized === null ? text.indexOf("\r\n0\r\n\r\n", begin - 2) : begin + Number(sized[1]);
  if (last === -1 || last > text.length) {
    return undefined;
  }
  return { body: text.slice(begin, last), length: sized === null ? last + 7 : last };
}

function waitFrom(index) {
  return `GET ${url.pathname}?wait=true&recursive=true&waitIndex=${index} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`;
}

function registration(number) {
  const body = `value=n${number}%3Dhttp%3A%2F%2F10.0.0.1%3A${number}`;
  const id = number.toString(16).padStart(16, "a");
  const headers = `Host: ${url.host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}`;
  return `PUT ${url.pathname}/${id}?prevExist=false HTTP/1.1\r\n${headers}\r\n\r\n${body}`;
}

const from = Number((await fetch(url)).headers.get("x-etcd-index")) + 1;
for (let wait = 0; wait < Number(waits); wait++) {
  connect((send, body) => {
    done.answers += 1;
    if (done.answers === Number(waits)) {
      console.log("loaded");
    }
    send(waitFrom(Number(/"modifiedIndex":(\d+)/.exec(body)?.[1]) + 1));
  })(waitFrom(from));
}

const idle = [];
for (let lane = 0; lane < LANES; lane++) {
  const send = connect(() => {
    done.registrations += 1;
    idle.push(send);
  });
  idle.push(send);
}

let number = 0;
setInterval(() => {
  if (number < ROOM - 1 && idle.length > 0) {
    idle.pop()(registration(number));
    number += 1;
  }
}, 1000 / Number(rate));

process.on("SIGTERM", () => {
  console.log(`${done.answers} answers, ${done.registrations} registrations`);
  process.exit();
});
