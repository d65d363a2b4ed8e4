// A TCP relay: node relay-process.mjs ADDRESS CONTROL_PORT PORT=HOST:PORT... On each PORT of ADDRESS it carries to HOST:PORT.
// POST /lose to the control port: from now on the servers are told all, and what they say is lost. POST /break: all
// connections end, and new ones are whole.
import { createServer as createControl } from "node:http";
import { connect, createServer } from "node:net";

const [address, controlPort, ...ways] = process.argv.slice(2);
const pairs = new Set();
let isLosing = false;

const orders = new Map([
  ["/lose", lose],
  ["/break", breakAll],
]);

function lose() {
  isLosing = true;
}

function breakAll() {
  isLosing = false;
  for (const socket of [...pairs].flat()) socket.destroy();
}

function carry(client, host, port) {
  const server = connect({ host, port });
  const pair = [client, server];
  pairs.add(pair);
  const leave = () => {
    pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  };
  for (const socket of pair) socket.setNoDelay(true).on("error", leave).on("close", leave);
  client.pipe(server);
  server.on("data", (bytes) => {
    if (!isLosing && !client.write(bytes)) server.pause();
  });
  client.on("drain", () => server.resume());
}

const listening = ways.map((way) => {
  const [port, to] = way.split("=");
  const { hostname, port: toPort } = new URL(`http://${to}`);
  const server = createServer((client) => carry(client, hostname, Number(toPort)));
  return new Promise((resolve) => server.listen(Number(port), address, resolve));
});
const control = createControl((question, answer) => {
  const order = orders.get(question.url ?? "");
  order?.();
  answer.writeHead(order === undefined ? 404 : 200).end();
});
listening.push(new Promise((resolve) => control.listen(Number(controlPort), address, resolve)));
await Promise.all(listening);
console.log("relay: up");
