// Preloaded into a Muster under test (`node --import`): kills the process before a byte of the answer to its Nth new
// registration (a PUT of a member below a token that is answered 201) is sent. The registration is synced by then.
import { ServerResponse } from "node:http";

const deadly = Number(process.env.MUSTER_TEST_DIES_BEFORE_ANSWER);
const MEMBER = /^\/+[^/?]+\/[^/?_][^/?]*(\?|$)/;
const { end } = ServerResponse.prototype;
let registrations = 0;

ServerResponse.prototype.end = function (...parameters) {
  // An answer may be ended again: that counts nothing.
  if (!this.writableEnded && this.statusCode === 201 && this.req.method === "PUT" && MEMBER.test(this.req.url)) {
    registrations += 1;
    if (registrations === deadly) {
      // Does not return: the kernel ends the process before the call comes back.
      process.kill(process.pid, "SIGKILL");
    }
  }
  return end.apply(this, parameters);
};
