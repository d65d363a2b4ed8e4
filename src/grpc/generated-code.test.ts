import { describe, expect, test } from "vitest";
import { Compare, RangeRequest, RequestOp, ResponseHeader, WatchResponse } from "../proto/etcdserverpb.ts";
import { KeyValue } from "../proto/mvccpb.ts";

/** The bytes of a varint field. */
function varint(field: number, value: bigint): number[] {
  const bytes = [field << 3];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

describe("generated code", () => {
  test.each([
    [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
    [2n ** 53n, Number.MAX_SAFE_INTEGER],
    [2n ** 63n - 1n, Number.MAX_SAFE_INTEGER],
    [-1n, -1],
    [-(2n ** 63n), Number.MIN_SAFE_INTEGER],
  ])("decode: a limit of %d is read as %d, without an error", (sent, read) => {
    expect(RangeRequest.decode(Uint8Array.from(varint(3, sent))).limit).toBe(read);
  });

  test("decode, encode: names keep all 64 bits, signed and unsigned", () => {
    const lease = -(2n ** 63n);
    expect(KeyValue.decode(Uint8Array.from(varint(6, lease))).lease).toBe(lease);
    const header = ResponseHeader.fromPartial({ clusterId: 2n ** 64n - 1n, memberId: 1n });
    expect(ResponseHeader.decode(ResponseHeader.encode(header).finish())).toEqual(header);
    expect(WatchResponse.decode(Uint8Array.from(varint(2, -1n))).watchId).toBe(-1n);
  });

  test("decode: an enum's number that nobody knows comes as it is, a field that nobody knows is passed over", () => {
    const bytes = [...varint(5, 77n), ...varint(99, 5n).slice(1)];
    expect(RangeRequest.decode(Uint8Array.from(bytes.slice(0, 2))).sortOrder).toBe(77);
    const unknown = [0x98, 0x06, 5, ...varint(8, 1n)];
    expect(RangeRequest.decode(Uint8Array.from(unknown)).keysOnly).toBe(true);
  });

  test("decode: bytes are views of what was received", () => {
    const received = Buffer.from([10, 3, 97, 98, 99]);
    const { key } = RangeRequest.decode(received);
    received[2] = 120;
    expect(Buffer.from(key).toString()).toBe("xbc");
  });

  test("encode: what a oneof holds is written even where it is 0, with etcd's field numbers", () => {
    const compare = Compare.fromPartial({ target: 1, targetUnion: { $case: "createRevision", value: 0 } });
    expect([...Compare.encode(compare).finish()]).toEqual([16, 1, 40, 0]);
    expect(Compare.decode(Uint8Array.from([16, 1, 40, 0])).targetUnion).toEqual({ $case: "createRevision", value: 0 });
    const end = Compare.fromPartial({ rangeEnd: Buffer.from("z") });
    expect([...Compare.encode(end).finish()]).toEqual([0x82, 4, 1, 122]);
    expect([
      ...RequestOp.encode(RequestOp.fromPartial({ request: { $case: "requestTxn", value: {} } })).finish(),
    ]).toEqual([34, 0]);
  });
});
