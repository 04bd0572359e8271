import { z } from "zod";

const TIMEOUT_MS = 10_000;

const tag = z.object({ key: z.string(), value: z.unknown() });

const reference = z.object({ refType: z.string(), traceID: z.string(), spanID: z.string() });

const rawTrace = z.object({
  traceID: z.string(),
  spans: z.array(
    z.object({
      spanID: z.string(),
      operationName: z.string(),
      references: z.array(reference).default([]),
      /** Microseconds. */
      duration: z.number(),
      tags: z.array(tag).default([]),
      processID: z.string(),
    }),
  ),
  processes: z.record(z.string(), z.object({ serviceName: z.string() })),
});

const operation = z.object({ name: z.string(), spanKind: z.string() });

/** One span as Jaeger shows it. */
interface JaegerSpan {
  readonly spanId: string;
  /** Undefined for a root. */
  readonly parentSpanId: string | undefined;
  readonly service: string;
  readonly operation: string;
  readonly durationMs: number;
  readonly tags: Readonly<Record<string, unknown>>;
}

/** A trace as Jaeger shows it. */
export interface JaegerTrace {
  readonly traceId: string;
  readonly spans: readonly JaegerSpan[];
}

/** A search. One span of the trace must meet all of it. */
interface JaegerSearch {
  readonly service: string;
  readonly operation?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly minDurationMs?: number;
  /** The maximal number of traces, the newest first. Default: 20. */
  readonly limit?: number;
}

/** A client of the HTTP API that Jaeger's own UI uses. */
export class JaegerApi {
  readonly #url: string;

  /** @param url - the address of the UI */
  constructor(url: string) {
    this.#url = url;
  }

  /** One trace by its id. Undefined when Jaeger does not have it. */
  async trace(traceId: string): Promise<JaegerTrace | undefined> {
    const traces = await this.#get(`/api/traces/${encodeURIComponent(traceId)}`, z.array(rawTrace));
    const trace = traces?.[0];
    return trace && traceFrom(trace);
  }

  /** The names of all services. */
  async services(): Promise<readonly string[]> {
    return (await this.#get("/api/services", z.array(z.string()))) ?? [];
  }

  /** The names of the spans of a service. */
  async operations(service: string): Promise<readonly string[]> {
    const query = new URLSearchParams({ service });
    const operations = await this.#get(`/api/operations?${query}`, z.array(operation));
    return (operations ?? []).map(({ name }) => name);
  }

  /** Searches for traces. */
  async search(wanted: JaegerSearch): Promise<readonly JaegerTrace[]> {
    const { service, operation: name, tags, minDurationMs, limit = 20 } = wanted;
    const query = new URLSearchParams({ service, limit: String(limit) });
    if (name !== undefined) query.set("operation", name);
    if (tags !== undefined) query.set("tags", JSON.stringify(tags));
    if (minDurationMs !== undefined) query.set("minDuration", `${minDurationMs}ms`);
    const traces = await this.#get(`/api/traces?${query}`, z.array(rawTrace));
    return (traces ?? []).map(traceFrom);
  }

  /** The field `data` of the answer. Undefined for status 404. @throws with the answer for other errors */
  async #get<T>(path: string, data: z.ZodType<T>): Promise<T | undefined> {
    const response = await fetch(`${this.#url}${path}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    if (response.status === 404) return undefined;
    const start = text.slice(0, 300);
    if (!response.ok) throw new Error(`Jaeger answers ${response.status} to ${path}: ${start}`);
    // An empty list is null.
    const answer = z.object({ data: data.nullable() });
    let parsed: z.infer<typeof answer>;
    try {
      parsed = answer.parse(JSON.parse(text));
    } catch (error) {
      throw new Error(`Jaeger's answer to ${path} is not understood: ${start}`, { cause: error });
    }
    return parsed.data ?? undefined;
  }
}

function traceFrom({ traceID, spans, processes }: z.infer<typeof rawTrace>): JaegerTrace {
  return {
    traceId: traceID,
    spans: spans.map(({ references, ...span }) => ({
      spanId: span.spanID,
      parentSpanId: parentOf(references, traceID),
      service: processes[span.processID]?.serviceName ?? "",
      operation: span.operationName,
      durationMs: span.duration / 1000,
      tags: Object.fromEntries(span.tags.map(({ key, value }) => [key, value])),
    })),
  };
}

/** The parent among the references. Jaeger has links there too, and a parent that is also linked only as a link. */
function parentOf(
  references: readonly z.infer<typeof reference>[],
  traceId: string,
): string | undefined {
  const ofTrace = references.filter(({ traceID }) => traceID === traceId);
  const parent = ofTrace.find(({ refType }) => refType === "CHILD_OF") ?? ofTrace[0];
  return parent?.spanID;
}
