import {
  type Attributes,
  type Context,
  context,
  propagation,
  type Span,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";

/** The application's own span around one piece of work; what the work throws marks it and passes on. */
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

/** The span around the work of one agent. */
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
/** What the local provider is asked to do to this request, in development only. */
const DIRECTIVE = "jeeves.provider.directive";

/** The context in which every role downstream finds the ids of the request. */
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

/** The request's id as it travelled here in baggage; empty when it did not. */
export function requestIdInBaggage(): string {
  return baggageValue(REQUEST_ID) ?? "";
}

export function directiveInBaggage(): string | undefined {
  return baggageValue(DIRECTIVE);
}

function baggageValue(name: string): string | undefined {
  return propagation.getBaggage(context.active())?.getEntry(name)?.value;
}

/**
 * The context for a call that leaves the system: the span's ids go with it, baggage and tracestate do not.
 */
export function outsideContext(from: Context = context.active()): Context {
  const without = propagation.deleteBaggage(from);
  const span = trace.getSpanContext(without);
  if (span?.traceState === undefined) return without;
  const { traceState: _, ...bare } = span;
  return trace.setSpanContext(without, bare);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
