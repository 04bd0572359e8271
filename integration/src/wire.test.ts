import { randomUUID } from "node:crypto";
import "@traceferry/testkit/vitest";
import * as core from "@opentelemetry/core";
import { w3cPropagator } from "@traceferry/core";
import { startReceiver } from "@traceferry/testkit";
import type { Span } from "@traceferry/traces";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTopics } from "./engines/index.js";
import { go, oldGo } from "./peers/go.js";
import { java } from "./peers/java.js";
import { python } from "./peers/python.js";
import { describeWithEngines, engines } from "./suite/engines.test-support.js";
import { startJeeves } from "./suite/jeeves.test-support.js";
import {
  ownPropagators,
  type Propagators,
  type SenderFields,
  startProgram,
  startPropagators,
} from "./suite/propagators.test-support.js";
import { buildBefore, cannotRun } from "./suite/toolchains.test-support.js";
import { chat } from "./system/chat.js";
import { AGENT_REPLIES } from "./system/messages.js";
import { ORCHESTRATOR, POLYGLOT } from "./topology/roles.js";

const SENDER: SenderFields = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  flags: 1,
  baggage: { tenant: "acme", note: "é, 100%;=ü" },
};
const SENDER_WITH_RANDOM_FLAG: SenderFields = { ...SENDER, flags: 3 };

const why = cannotRun(POLYGLOT);

describe.skipIf(why !== undefined)(
  `the propagators of one language and another${why ? ` (skipped: ${why})` : ""}`,
  () => {
    const NAMES = ["traceferry", "stock", "go", "go 1.41", "python", "java"] as const;
    const byName = new Map<string, Propagators>();
    buildBefore(POLYGLOT);
    beforeAll(async () => {
      const stock = new core.CompositePropagator({
        propagators: [new core.W3CTraceContextPropagator(), new core.W3CBaggagePropagator()],
      });
      byName.set("traceferry", ownPropagators(w3cPropagator()));
      byName.set("stock", ownPropagators(stock));
      // One after the other, so that those that run are ended even when the next cannot start.
      byName.set("go", await startPropagators(go, "headers", "go-headers"));
      byName.set("go 1.41", await startPropagators(oldGo, "headers", "go-old"));
      byName.set("python", await startPropagators(python, "jeeves.headers", "headers"));
      byName.set("java", await startPropagators(java, "jeeves.Headers", "headers"));
    });
    afterAll(async () => {
      for (const propagators of byName.values()) await propagators[Symbol.asyncDispose]();
    });
    const propagatorsOf = (name: string): Propagators => {
      const found = byName.get(name);
      if (found === undefined) throw new Error(`no propagators of ${name}`);
      return found;
    };
    const pairs = NAMES.flatMap((writer) => NAMES.map((reader) => ({ writer, reader })));

    test.for(pairs)("carry the trace from $writer to $reader", async ({ writer, reader }) => {
      const { traceId, flags } = await propagatorsOf(reader).extract(
        await propagatorsOf(writer).inject(SENDER),
      );

      expect(traceId).toBe(SENDER.traceId);
      expect((flags ?? 0) & 1).toBe(1);
    });

    test.for(pairs)("carry baggage from $writer to $reader", async ({ writer, reader }) => {
      const { baggage } = await propagatorsOf(reader).extract(
        await propagatorsOf(writer).inject(SENDER),
      );

      // Python writes a blank as "+", and only Python reads a "+" as a blank.
      const note = writer === "python" && reader !== "python" ? "é,+100%;=ü" : SENDER.baggage.note;
      expect(baggage).toEqual({ tenant: "acme", note });
    });

    test.for(NAMES)("accept the random flag, -03, but for old Go: %s", async (reader) => {
      const header = `00-${SENDER.traceId}-${SENDER.spanId}-03`;
      const { traceId } = await propagatorsOf(reader).extract({ traceparent: header });

      expect(traceId).toBe(reader === "go 1.41" ? undefined : SENDER.traceId);
    });

    test('of an old Go accept what w3cPropagator({ randomFlag: "clear" }) injects', async () => {
      const clearing = ownPropagators(w3cPropagator({ randomFlag: "clear" }));
      const kept = await propagatorsOf("traceferry").inject(SENDER_WITH_RANDOM_FLAG);
      const cleared = await clearing.inject(SENDER_WITH_RANDOM_FLAG);

      expect([kept.traceparent?.slice(-3), cleared.traceparent?.slice(-3)]).toEqual(["-03", "-01"]);
      expect((await propagatorsOf("go 1.41").extract(kept)).traceId).toBeUndefined();
      expect((await propagatorsOf("go 1.41").extract(cleared)).traceId).toBe(SENDER.traceId);
    });

    test("of Go leave = within a value as it is, and all others end the key at the first one", async () => {
      const headers = await propagatorsOf("go").inject({ ...SENDER, baggage: { pair: "a=b=c" } });

      expect(headers.baggage).toBe("pair=a=b=c");
      for (const reader of NAMES) {
        expect([reader, (await propagatorsOf(reader).extract(headers)).baggage]).toEqual([
          reader,
          { pair: "a=b=c" },
        ]);
      }
    });
  },
);

describeWithEngines("libraries of other languages", () => {
  test.skipIf(why !== undefined)(
    `put a receive span between sender and work (kotel), and a slash in front of span names (Python)${why ? ` (skipped: ${why})` : ""}`,
    async () => {
      await using jeeves = await startJeeves({ implementations: POLYGLOT });
      const { traceId } = await chat(jeeves.url);
      const spans = await jeeves.trace(traceId);

      const replies = spans.filter(
        (span) =>
          span.service === ORCHESTRATOR &&
          span.kind === "CONSUMER" &&
          span.name.includes(AGENT_REPLIES),
      );
      const byId = new Map(spans.map((span) => [span.spanId, span]));
      const chains = replies
        .filter((span) => span.name.includes("process"))
        .map((process) => {
          const receive = byId.get(process.parentSpanId ?? "");
          const producer = byId.get(receive?.parentSpanId ?? "");
          return [process, receive, producer].map((span) => span?.name);
        });
      expect(chains).toMatchInlineSnapshot(`
        [
          [
            "jeeves.agents.replies process",
            "jeeves.agents.replies receive",
            "jeeves.agents.replies send",
          ],
          [
            "jeeves.agents.replies process",
            "jeeves.agents.replies receive",
            "jeeves.agents.replies publish",
          ],
        ]
      `);

      const names = spans
        .filter(({ attributes }) => "rpc.system" in attributes || "rpc.system.name" in attributes)
        .map(({ service, kind, name }) => `${service} ${kind} ${name}`);
      expect(names.sort()).toMatchInlineSnapshot(`
        [
          "jeeves-gateway CLIENT /jeeves.v1.Orchestrator/ExecutePipeline",
          "jeeves-llm-gateway SERVER /jeeves.v1.LlmGateway/Generate",
          "jeeves-orchestrator SERVER jeeves.v1.Orchestrator/ExecutePipeline",
          "jeeves-planner-worker CLIENT /jeeves.v1.LlmGateway/Generate",
        ]
      `);
    },
  );

  test.skipIf(why !== undefined)(
    `begin a new trace (confluent-kafka for Python), unless the headers of the record are extracted${why ? ` (skipped: ${why})` : ""}`,
    async () => {
      const topic = `wire-${randomUUID()}`;
      const { kafkaBrokers } = engines();
      await createTopics(kafkaBrokers, [topic], 1);
      await using receiver = await startReceiver();
      await using reader = await startReader(topic, kafkaBrokers, receiver.httpUrl);
      await produce(kafkaBrokers, topic, {
        traceparent: `00-${SENDER.traceId}-${SENDER.spanId}-01`,
      });

      const spans = await receiver.waitForQuiet({ services: [reader.name], atLeast: 3 });
      expect(spanNamed(spans, "wire.handled").traceId).not.toBe(SENDER.traceId);
      expect(spanNamed(spans, "wire.extracted").traceId).toBe(SENDER.traceId);
    },
  );
});

async function startReader(topic: string, brokers: readonly string[], otlpUrl: string) {
  const name = "confluent-reader";
  const program = await startProgram(python, "jeeves.confluent_reader", name, {
    KAFKA_BROKERS: brokers.join(","),
    TOPIC: topic,
    GROUP: topic,
    OTEL_SERVICE_NAME: name,
    OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl,
    OTEL_BSP_SCHEDULE_DELAY: "40",
  });
  return { name, ...program };
}

async function produce(
  brokers: readonly string[],
  topic: string,
  headers: Record<string, string>,
): Promise<void> {
  const producer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic, messages: [{ value: "hello", headers }] });
  await producer.disconnect();
}

function spanNamed(spans: readonly Span[], name: string): Span {
  const [span] = spans.filter((other) => other.name === name);
  if (span === undefined) throw new Error(`no ${name} in ${spans.map((s) => s.name).join(", ")}`);
  return span;
}
