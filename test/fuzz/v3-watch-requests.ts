/** Random requests of watches, for programs in which writes go on beside them. */
import fc from "fast-check";
import { type Field, message, oneIn, type Request, where } from "./v3-requests.ts";
import { type V3Step, WATCH } from "./v3-steps.ts";

const flag = fc.boolean();
/** Few, so that one meets a watch that is there, is gone, or was never made; 0: any that is free. */
const chosenId = fc.constantFrom(0, 1, 2, 3, 7, -5);
const madeId = fc.constantFrom(0, 0, 1, 1, 2, 3, 7, -5, 77);

/** Each watch step puts something, too: revisions go up quickly. */
const pastRevision: Field = fc.integer({ min: -1, max: 30 }).map((offset) => `S${offset < 0 ? "" : "+"}${offset}`);
const oddRevision: Field = fc.constantFrom("S+60", "9223372036854775807", 1);
const filters = fc.constantFrom<readonly string[]>(
  [],
  ["NOPUT"],
  ["NODELETE"],
  ["NOPUT", "NODELETE"],
  ["NOPUT", "NOPUT"],
);

function create(newer: boolean): fc.Arbitrary<Request> {
  // An older etcd takes a negative one, and cancels the watch later.
  const start_revision = oneIn(8, newer ? fc.oneof(oddRevision, fc.constant(-1)) : oddRevision, pastRevision);
  return fc
    .tuple(
      oneIn(8, fc.constant<Request>({ key: "\0", range_end: "\0" }), where),
      oneIn(2, fc.record({ start_revision }), fc.constant({})),
      oneIn(4, fc.record({ filters: filters.map((list) => [...list]) }), fc.constant({})),
      oneIn(3, fc.record({ watch_id: chosenId }), fc.constant({})),
      message({ prev_kv: flag, fragment: flag, progress_notify: flag }),
    )
    .map((parts) => ({ create_request: Object.assign({}, ...parts) }));
}

/** Steps of streams of watches; `newer`: with what etcd answers so since 3.5. */
export function watchSteps({ newer }: { readonly newer: boolean }): readonly fc.WeightedArbitrary<V3Step>[] {
  const stream = fc.constantFrom(0, 0, 0, 1);
  const on = (asked: fc.Arbitrary<Request>): fc.Arbitrary<V3Step> =>
    fc.tuple(stream, asked).map(([number, request]) => ({ call: WATCH, request: { stream: number, ...request } }));
  const cancel = madeId.map((watch_id): Request => ({ cancel_request: { watch_id } }));
  return [
    { weight: 14, arbitrary: on(create(newer)) },
    { weight: 4, arbitrary: on(cancel) },
    { weight: 3, arbitrary: on(fc.constant({ progress_request: {} })) },
    { weight: 1, arbitrary: on(fc.constantFrom<Request>({ end: true }, { half_close: true }, {})) },
  ];
}

/** Puts of much, so that what watches from the past are told is more than a response holds. */
export const largePut: fc.Arbitrary<V3Step> = fc
  .record({ key: fc.constantFrom("a", "b"), value: fc.constantFrom("x*700000", "y*400000", "z*1100000") })
  .map((request) => ({ call: "KV/Put", request }));
