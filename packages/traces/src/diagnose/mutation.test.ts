import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Span } from "../span.js";
import { bullmq, Fleet, grpc, http, kafka, slow, type Via } from "../span-factory.test-support.js";
import { evaluateUnbroken } from "../unbroken/index.js";
import { diagnose, type Hop } from "./index.js";

/** A fleet's shape: service number n + 1 is called by `caller`, in a way, some milliseconds later. */
interface Shape {
  readonly calls: readonly {
    readonly caller: number;
    readonly way: number;
    readonly delay: number;
    readonly lag: number;
    readonly inner: boolean;
  }[];
}

const ways: readonly ((service: string) => Via)[] = [
  (service) => grpc(`fleet.v1.${service}/Work`),
  (service) => http("POST", `/${service}`),
  (service) => kafka(`${service}.requests`),
  (service) => bullmq(`${service}-jobs`),
];

const shapes: fc.Arbitrary<Shape> = fc.record({
  calls: fc.array(
    fc.record({
      caller: fc.nat(11),
      way: fc.nat(ways.length - 1),
      delay: fc.integer({ min: 0, max: 30 }),
      lag: fc.integer({ min: 0, max: 8 }),
      inner: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  ),
});

/** How a hop is broken: the callee begins a new trace, saying so or not, or the caller's span is missing. */
const cuts = ["silent", "told", "unexported"] as const;
type Cut = (typeof cuts)[number];

const requests = fc.integer({ min: 1, max: 20 });

describe("the prover", () => {
  test(
    "finds nothing in fleets whose traces are whole, however many requests run side by side",
    slow,
    () => {
      fc.assert(
        fc.property(shapes, requests, (shape, count) => {
          const { spans } = run(shape, count);

          const { breaks, links, hops } = diagnose(spans);

          expect(breaks).toEqual([]);
          expect(links).toEqual([]);
          expect(hops.reduce((sum, hop) => sum + hop.count, 0)).toBe(shape.calls.length * count);
          expect(evaluateUnbroken(spans, { traces: count }).pass).toBe(true);
        }),
      );
    },
  );

  test("names exactly the hop that was cut, in whichever way and request", slow, () => {
    const cutAt = fc.tuple(fc.nat(), fc.nat(), fc.constantFrom(...cuts));
    fc.assert(
      fc.property(
        shapes,
        requests,
        fc.array(cutAt, { minLength: 1, maxLength: 2 }),
        (shape, count, at) => {
          const wanted = new Map(
            at.map(([call, request, cut]) => [
              `${request % count} ${call % shape.calls.length}`,
              cut,
            ]),
          );
          const { spans, cutHops } = run(shape, count, wanted);

          const { breaks, hops } = diagnose(spans);

          const found = breaks.map(({ from, to, via }) => `${from} → ${to}, ${via}`);
          // Nobody is left to say who the caller of an orphan was when it is the only one of its sort.
          const named = found.map((hop, index) =>
            hop.startsWith("?") ? hop.replace("?", String(cutHops[index]?.split(" ", 1)[0])) : hop,
          );
          expect(named.sort()).toEqual(cutHops.toSorted());
          expect(sum(hops, false)).toBe(cutHops.length);
          expect(sum(hops, true)).toBe(shape.calls.length * count - cutHops.length);
          expect(evaluateUnbroken(spans, { traces: count }).pass).toBe(false);
        },
      ),
    );
  });
});

function run(shape: Shape, count: number, wanted: ReadonlyMap<string, Cut> = new Map()) {
  const fleet = new Fleet();
  const lost = new Set<Span>();
  const cutHops: { readonly at: bigint; readonly hop: string }[] = [];
  for (let request = 0; request < count; request += 1) {
    const entries: Span[] = [
      fleet.root({ service: "s0", kind: "SERVER", name: "GET /", at: request * 3, ms: 500 }),
    ];
    shape.calls.forEach((call, index) => {
      const caller = entries[call.caller % entries.length];
      const way = ways[call.way];
      if (caller === undefined || way === undefined) return;
      const service = `s${index + 1}`;
      const via = way(service);
      const work = call.inner ? fleet.child(caller, { name: "work", ms: 300 }) : caller;
      const exit = fleet.child(work, { ...via.exit, at: atOf(work) + call.delay, ms: 200 });
      const cut = wanted.get(`${request} ${index}`);
      const wish = { service, ...via.entry, at: atOf(exit) + call.lag, ms: 150 };
      entries.push(answerTo(exit, wish, cut, fleet));
      if (cut === "unexported") lost.add(exit);
      const answer = entries.at(-1);
      if (cut !== undefined && answer !== undefined) {
        cutHops.push({ at: answer.startNs, hop: `${caller.service} → ${service}, ${label(via)}` });
      }
    });
  }
  cutHops.sort((a, b) => Number(a.at - b.at));
  return {
    spans: fleet.spans.filter((span) => !lost.has(span)),
    cutHops: cutHops.map(({ hop }) => hop),
  };
}

function answerTo(
  exit: Span,
  wish: Parameters<Fleet["root"]>[0],
  cut: Cut | undefined,
  fleet: Fleet,
): Span {
  if (cut === undefined || cut === "unexported") return fleet.child(exit, wish);
  const attributes = { ...wish.attributes, "traceferry.extraction": "missing" };
  return fleet.root(cut === "told" ? { ...wish, attributes } : wish);
}

function label({ entry }: Via): string {
  const { attributes = {} } = entry;
  const system = attributes["rpc.system.name"] ?? attributes["messaging.system.name"];
  const place = attributes["rpc.method"] ?? attributes["messaging.destination.name"];
  return system === undefined ? `http ${entry.name}` : `${system} ${place}`;
}

function atOf(span: Span): number {
  return Number(span.startNs - 1_767_225_600_000_000_000n) / 1e6;
}

function sum(hops: readonly Hop[], ok: boolean): number {
  return hops.filter((hop) => hop.ok === ok).reduce((total, hop) => total + hop.count, 0);
}
