import {
  type Attributes,
  type Context,
  context,
  propagation,
  type Span,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";

/** Runs the work in a span of the application. An error of the work is recorded on the span and thrown on. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  return trace.getTracer("jeeves").startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error));
      span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Runs the work of one agent in its span. */
export function inAgentSpan<T>(
  agent: { readonly name: string; readonly type: "llm" | "tool" | "service" },
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const attributes = {
    "jeeves.agent.name": agent.name,
    "jeeves.agent.type": agent.type,
    "jeeves.llm.calls": agent.type === "llm" ? 1 : 0,
    "jeeves.request.id": requestIdInBaggage(),
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": agent.name,
  };
  return inSpan("agent.process", attributes, work);
}

const REQUEST_ID = "jeeves.request.id";
const SESSION_ID = "jeeves.session.id";
// The delay or failure that the local provider is asked for, in development only.
const DIRECTIVE = "jeeves.provider.directive";

/** Adds the ids of the request to the baggage, for every role downstream. */
export function withRequest(
  from: Context,
  ids: {
    readonly requestId: string;
    readonly sessionId: string;
    readonly directive?: string | undefined;
  },
): Context {
  const entries = propagation.getBaggage(from) ?? propagation.createBaggage();
  const known = entries
    .setEntry(REQUEST_ID, { value: ids.requestId })
    .setEntry(SESSION_ID, { value: ids.sessionId });
  return propagation.setBaggage(
    from,
    ids.directive === undefined ? known : known.setEntry(DIRECTIVE, { value: ids.directive }),
  );
}

/** The id of the request in the active baggage. Empty when there is none. */
export function requestIdInBaggage(): string {
  return baggageValue(REQUEST_ID) ?? "";
}

/** The directive for the local provider in the active baggage. */
export function directiveInBaggage(): string | undefined {
  return baggageValue(DIRECTIVE);
}

function baggageValue(name: string): string | undefined {
  return propagation.getBaggage(context.active())?.getEntry(name)?.value;
}

/** The context for a call that leaves the system: it keeps the span's ids, without baggage and tracestate. */
export function outsideContext(from: Context = context.active()): Context {
  const without = propagation.deleteBaggage(from);
  const span = trace.getSpanContext(without);
  if (span?.traceState === undefined) return without;
  const { traceState: _, ...rest } = span;
  return trace.setSpanContext(without, rest);
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
