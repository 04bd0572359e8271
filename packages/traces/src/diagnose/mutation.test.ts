import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Span } from "../span.js";
import {
  bullmq,
  grpc,
  type HopTemplate,
  http,
  kafka,
  SLOW_TEST,
  SpanFactory,
} from "../span-factory.test-support.js";
import { evaluateUnbroken } from "../unbroken/index.js";
import { diagnose, type Hop } from "./index.js";

/** The calls of one request: service number n + 1 is called by `caller` over a transport, some milliseconds later. */
interface Topology {
  readonly calls: readonly {
    readonly caller: number;
    readonly transport: number;
    readonly delay: number;
    readonly lag: number;
    readonly inner: boolean;
  }[];
}

const hopTemplates: readonly ((service: string) => HopTemplate)[] = [
  (service) => grpc(`shop.v1.${service}/Work`),
  (service) => http("POST", `/${service}`),
  (service) => kafka(`${service}.requests`),
  (service) => bullmq(`${service}-jobs`),
];

const topologies: fc.Arbitrary<Topology> = fc.record({
  calls: fc.array(
    fc.record({
      caller: fc.nat(11),
      transport: fc.nat(hopTemplates.length - 1),
      delay: fc.integer({ min: 0, max: 30 }),
      lag: fc.integer({ min: 0, max: 8 }),
      inner: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  ),
});

/** How a hop is broken: the callee begins a new trace, reporting it or not, or the caller's span is missing. */
const FAULTS = ["silent", "reported", "unexported"] as const;
type Fault = (typeof FAULTS)[number];

const requests = fc.integer({ min: 1, max: 20 });

describe("diagnosing generated systems", () => {
  test(
    "finds no break when the traces are whole, however many requests run side by side",
    SLOW_TEST,
    () => {
      fc.assert(
        fc.property(topologies, requests, (topology, count) => {
          const { spans } = simulate(topology, count);

          const { breaks, links, hops } = diagnose(spans);

          expect(breaks).toEqual([]);
          expect(links).toEqual([]);
          expect(hops.reduce((sum, hop) => sum + hop.count, 0)).toBe(topology.calls.length * count);
          expect(evaluateUnbroken(spans, { traces: count }).pass).toBe(true);
        }),
      );
    },
  );

  test("names exactly the hop that was broken, on any transport, in any request", SLOW_TEST, () => {
    const faultAt = fc.tuple(fc.nat(), fc.nat(), fc.constantFrom(...FAULTS));
    fc.assert(
      fc.property(
        topologies,
        requests,
        fc.array(faultAt, { minLength: 1, maxLength: 2 }),
        (topology, count, faults) => {
          const faultByCall = new Map(
            faults.map(([call, request, fault]) => [
              `${request % count} ${call % topology.calls.length}`,
              fault,
            ]),
          );
          const { spans, brokenHops } = simulate(topology, count, faultByCall);

          const { breaks, hops } = diagnose(spans);

          const found = breaks.map(({ from, to, via }) => `${from} → ${to}, ${via}`);
          // The caller of an orphan is unknown when no other span of its hop arrived.
          const namedHops = found.map((hop, index) =>
            hop.startsWith("?")
              ? hop.replace("?", String(brokenHops[index]?.split(" ", 1)[0]))
              : hop,
          );
          expect(namedHops.sort()).toEqual(brokenHops.toSorted());
          expect(sum(hops, false)).toBe(brokenHops.length);
          expect(sum(hops, true)).toBe(topology.calls.length * count - brokenHops.length);
          expect(evaluateUnbroken(spans, { traces: count }).pass).toBe(false);
        },
      ),
    );
  });
});

/** The spans of `count` requests; `faults` is keyed by "request call", both as indices. */
function simulate(
  topology: Topology,
  count: number,
  faults: ReadonlyMap<string, Fault> = new Map(),
) {
  const spanFactory = new SpanFactory();
  const unexported = new Set<Span>();
  const brokenHops: { readonly at: bigint; readonly hop: string }[] = [];
  for (let request = 0; request < count; request += 1) {
    const entries: Span[] = [
      spanFactory.root({ service: "s0", kind: "SERVER", name: "GET /", at: request * 3, ms: 500 }),
    ];
    topology.calls.forEach((call, index) => {
      const caller = entries[call.caller % entries.length];
      const template = hopTemplates[call.transport];
      if (caller === undefined || template === undefined) return;
      const service = `s${index + 1}`;
      const hop = template(service);
      const work = call.inner ? spanFactory.child(caller, { name: "work", ms: 300 }) : caller;
      const exit = spanFactory.child(work, { ...hop.exit, at: atOf(work) + call.delay, ms: 200 });
      const fault = faults.get(`${request} ${index}`);
      const options = { service, ...hop.entry, at: atOf(exit) + call.lag, ms: 150 };
      const entry = answerTo(exit, options, fault, spanFactory);
      entries.push(entry);
      if (fault === "unexported") unexported.add(exit);
      if (fault !== undefined) {
        brokenHops.push({
          at: entry.startNs,
          hop: `${caller.service} → ${service}, ${viaOf(hop)}`,
        });
      }
    });
  }
  brokenHops.sort((a, b) => Number(a.at - b.at));
  return {
    spans: spanFactory.spans.filter((span) => !unexported.has(span)),
    brokenHops: brokenHops.map(({ hop }) => hop),
  };
}

function answerTo(
  exit: Span,
  options: Parameters<SpanFactory["root"]>[0],
  fault: Fault | undefined,
  spanFactory: SpanFactory,
): Span {
  if (fault === undefined || fault === "unexported") return spanFactory.child(exit, options);
  const attributes = { ...options.attributes, "traceferry.extraction": "missing" };
  return spanFactory.root(fault === "reported" ? { ...options, attributes } : options);
}

function viaOf({ entry }: HopTemplate): string {
  const { attributes = {} } = entry;
  const system = attributes["rpc.system.name"] ?? attributes["messaging.system.name"];
  const destination = attributes["rpc.method"] ?? attributes["messaging.destination.name"];
  return system === undefined ? `http ${entry.name}` : `${system} ${destination}`;
}

function atOf(span: Span): number {
  return Number(span.startNs - 1_767_225_600_000_000_000n) / 1e6;
}

function sum(hops: readonly Hop[], ok: boolean): number {
  return hops.filter((hop) => hop.ok === ok).reduce((total, hop) => total + hop.count, 0);
}
