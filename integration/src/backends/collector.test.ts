import { type OtlpReceiver, startReceiver } from "@traceferry/testkit";
import type { Span } from "@traceferry/traces";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CollectorOptions, startCollector } from "./collector.js";
import { BUILD_TIMEOUT_MS, describeWithBackends } from "./describe.test-support.js";
import type { Backend } from "./program.js";
import { type SyntheticSpan, sendSpans, traceIdOf } from "./synthetic.test-support.js";

const log = (line: string): void => void process.stderr.write(`${line}\n`);
// Short, because the processor decides once a second.
const QUICK_DECISION = { decisionWaitMs: 2000, rootWaitMs: 1000 };

describeWithBackends("the collector", ["collector"], () => {
  describe("between a busy system and its backend", () => {
    let chain: Chain;
    let late: readonly Span[];
    const ordinary = traceNames("ordinary", 600);
    const failed = traceNames("failed", 60);
    const slow = traceNames("slow", 60);
    const checks = traceNames("check", 1000);
    const grpcChecks = traceNames("grpc check", 1000);
    const failedChecks = traceNames("failed check", 40);
    const withCheckInside = traceNames("check inside", 600);

    beforeAll(async () => {
      chain = await startChain(QUICK_DECISION);
      await sendSpans(chain.collector.otlpUrl, [
        ...ordinary.flatMap((trace) => withChild({ trace })),
        ...failed.flatMap((trace) => withChild({ trace }, { error: "no such order" })),
        ...slow.flatMap((trace) => withChild({ trace, durationMs: 1500 })),
        ...checks.flatMap((trace) =>
          withChild({ trace, name: "GET", attributes: { "url.path": "/healthz" } }),
        ),
        ...grpcChecks.flatMap((trace) => withChild({ trace, name: "grpc.health.v1.Health/Check" })),
        ...failedChecks.map((trace) => ({ trace, name: "GET /readyz", error: "not ready" })),
        ...withCheckInside.flatMap((trace) => withChild({ trace }, { name: "GET /healthz" })),
      ]);
      await untilDecided(chain);
      // After the decision: one more span of each trace, which would be kept by itself.
      await sendSpans(
        chain.collector.otlpUrl,
        [...ordinary, ...failed].map((trace) => ({
          trace,
          span: "late",
          parent: "root",
          error: "late",
        })),
      );
      late = await untilDecided(chain);
    }, BUILD_TIMEOUT_MS);
    afterAll(async () => {
      await chain?.[Symbol.asyncDispose]();
    });

    test("keeps every trace in which something failed", () => {
      expect(keptOf(late, failed)).toBe(60);
    });

    test("keeps every trace that was slow", () => {
      expect(keptOf(late, slow)).toBe(60);
    });

    test("keeps a tenth of the rest", () => {
      expect(keptOf(late, ordinary)).toSatisfy(isPlausible(600, 0.1));
    });

    test("drops health checks, but for one in a hundred", () => {
      expect(keptOf(late, checks)).toSatisfy(isPlausible(1000, 0.01));
      expect(keptOf(late, grpcChecks)).toSatisfy(isPlausible(1000, 0.01));
    });

    test("keeps every health check that failed", () => {
      expect(keptOf(late, failedChecks)).toBe(40);
    });

    test("treats a health check inside of other work as a part of that work", () => {
      expect(keptOf(late, withCheckInside)).toSatisfy(isPlausible(600, 0.1));
    });

    test("keeps a trace whole or not at all, spans that come late included", () => {
      const sizes = [...ordinary, ...failed].map((trace) => spansOf(late, trace).length);
      expect(new Set(sizes)).toEqual(new Set([0, 3]));
    });
  });

  describe("configured to keep everything", () => {
    let chain: Chain;
    beforeAll(async () => {
      chain = await startChain({ ...QUICK_DECISION, keepPercent: 100 });
    }, BUILD_TIMEOUT_MS);
    afterAll(async () => {
      await chain?.[Symbol.asyncDispose]();
    });

    test("keeps every ordinary trace", async () => {
      const traces = traceNames("all", 200);
      await sendSpans(
        chain.collector.otlpUrl,
        traces.flatMap((trace) => withChild({ trace })),
      );

      const spans = await untilDecided(chain);
      expect(keptOf(spans, traces)).toBe(200);
    });

    test("masks attributes of spans, events and resources whose name sounds like a secret", async () => {
      const secrets = {
        authorization: "Bearer 5ecret",
        Authorization: "Basic dTpwYXNz",
        "http.request.header.authorization": ["Bearer 5ecret"],
        "http.request.header.x-api-key": ["5ecret"],
        "http.request.header.cookie": ["sid=5ecret", "theme=dark"],
        "http.response.header.set_cookie": ["sid=5ecret; HttpOnly"],
        "rpc.grpc.request.metadata.proxy-authorization": ["5ecret"],
        "db.password": "5ecret",
        userPassword: "5ecret",
        accessToken: "5ecret",
        "app.token": "5ecret",
        API_KEY: "5ecret",
        client_secret: "5ecret",
        "user.pwd": 5003,
      };
      await sendSpans(chain.collector.otlpUrl, [
        { trace: "names", attributes: secrets, event: secrets, resource: secrets },
      ]);

      const [span] = await chain.receiver.waitForTrace(traceIdOf("names"));
      const masked = Object.fromEntries(Object.keys(secrets).map((name) => [name, "****"]));
      expect(span?.attributes).toEqual(masked);
      expect(span?.events[0]?.attributes).toEqual(masked);
      expect(span?.resource).toMatchObject(masked);
    });

    test.each([
      ["GET /pay?order=7&api_key=5ecret&page=2", "GET /pay?order=7&****&page=2"],
      ["upstream said: authorization: Bearer abcdef5ecret", "upstream said: ****"],
      ['{"user":"ann","password":"5ecret"}', '{"user":"ann","****"}'],
      ["cannot reach redis://ann:5ecret@cache:6379/0", "cannot reach redis****cache:6379/0"],
      ["401 for sk-live-0123456789abcdef5ecret", "401 for ****"],
      ["jwt eyJhbGciOiJI.eyJzdWIi.5ecret expired", "jwt **** expired"],
    ])("masks the secret in the text %s", async (text, without) => {
      await sendSpans(chain.collector.otlpUrl, [
        {
          trace: text,
          name: text,
          attributes: { "some.text": text, "some.texts": [text] },
          event: { "exception.message": text },
          error: text,
        },
      ]);

      const [span] = await chain.receiver.waitForTrace(traceIdOf(text));
      expect(span?.name).toBe(without);
      expect(span?.attributes["some.text"]).toBe(without);
      expect(span?.events[0]?.attributes["exception.message"]).toBe(without);
      expect(span?.status.message).toBe(without);
      expect(JSON.stringify(span?.attributes)).not.toContain("5ecret");
    });

    test("does not mask what only resembles a secret", async () => {
      const plain = {
        "jeeves.request.id": "5f0c7a52-6f7b-4f57-9d0d-0f4d4f5ce0c1",
        "jeeves.session.id": "session-7",
        "jeeves.llm.tokens.prompt": 12,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.request.max_tokens": 100,
        "http.request.header.accept": ["application/json"],
        "url.full": "http://127.0.0.1:8081/v1/chat/completions?page=2",
        "server.address": "127.0.0.1",
        "exception.message": "the basic plan has no token left",
      };
      await sendSpans(chain.collector.otlpUrl, [{ trace: "plain", attributes: plain }]);

      const [span] = await chain.receiver.waitForTrace(traceIdOf("plain"));
      expect(span?.attributes).toEqual(plain);
    });
  });

  test("reports why it cannot start, with its last lines", async () => {
    const start = startCollector({ log: () => undefined, exportTo: [] });
    await expect(start).rejects.toThrow(
      /collector did not start, it ended with exit code 1.*at least one exporter/s,
    );
  });
});

/** A collector and the receiver that it exports to. */
interface Chain extends AsyncDisposable {
  readonly collector: Backend;
  readonly receiver: OtlpReceiver;
}

async function startChain(options: Omit<CollectorOptions, "log" | "exportTo">): Promise<Chain> {
  const receiver = await startReceiver();
  try {
    const collector = await startCollector({ log, exportTo: [receiver.httpUrl], ...options });
    return {
      collector,
      receiver,
      [Symbol.asyncDispose]: async () => {
        await collector[Symbol.asyncDispose]();
        await receiver.close();
      },
    };
  } catch (error) {
    await receiver.close();
    throw error;
  }
}

let markers = 0;

/** Waits until the collector has decided about everything, by a last trace that is always kept. Returns all spans. */
async function untilDecided({ collector, receiver }: Chain): Promise<readonly Span[]> {
  const trace = `marker ${markers++}`;
  await sendSpans(collector.otlpUrl, [{ trace, error: "marker" }]);
  await receiver.waitForTrace(traceIdOf(trace));
  return receiver.waitForQuiet({ quietMs: 600 });
}

function traceNames(name: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${i}`);
}

function withChild(root: SyntheticSpan, child: Partial<SyntheticSpan> = {}): SyntheticSpan[] {
  const { trace } = root;
  return [root, { name: "SELECT orders", ...child, trace, span: "child", parent: "root" }];
}

function spansOf(spans: readonly Span[], trace: string): readonly Span[] {
  const id = traceIdOf(trace);
  return spans.filter(({ traceId }) => traceId === id);
}

function keptOf(spans: readonly Span[], traces: readonly string[]): number {
  const arrived = new Set(spans.map(({ traceId }) => traceId));
  return traces.filter((trace) => arrived.has(traceIdOf(trace))).length;
}

/** Accepts a random count: within four standard deviations of the mean, and above 0. */
function isPlausible(count: number, share: number): (value: number) => boolean {
  const mean = count * share;
  const spread = 4 * Math.sqrt(mean * (1 - share));
  return (value) => value > 0 && Math.abs(value - mean) <= spread;
}
