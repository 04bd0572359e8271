import type { Span } from "@traceferry/traces";
import { expect } from "vitest";
import {
  AGENTS,
  GATEWAY,
  type Implementations,
  LLM_GATEWAY,
  ORCHESTRATOR,
  PLANNER,
  TOOLS,
} from "../topology/roles.js";

/** The request whose spans are expected. */
export interface Request {
  readonly requestId: string;
  readonly sessionId: string;
  readonly mode?: "sequential" | "parallel";
}

/**
 * Expects the application's own spans, as every implementation of a role has to make them: names, services, kinds, events
 * and attributes. The ids of the request reach them in baggage.
 */
export function expectApplicationSpans(
  spans: readonly Span[],
  implementations: Implementations,
  { requestId, sessionId, mode = "sequential" }: Request,
): void {
  const seen = spans
    .filter(({ name }) => OWN_SPANS.test(name))
    .map((span) => ({ span: `${span.name} of ${span.service}`, ...summaryOf(span) }));
  expect(sorted(seen)).toEqual(
    sorted(expectedSpans(implementations, { requestId, sessionId, mode })),
  );
}

const OWN_SPANS = /^(pipeline\.execute|agent\.process|llm\.generate|llm\.provider\.call)$/;

function summaryOf({ kind, attributes, status, events }: Span): object {
  return {
    kind,
    status: status.code,
    events: events.map(({ name }) => name),
    attributes: Object.fromEntries(
      // Java's agent adds attributes of the thread.
      Object.entries(attributes).filter(([name]) => /^(jeeves|gen_ai|termination)\./.test(name)),
    ),
  };
}

function expectedSpans(
  implementations: Implementations,
  { requestId, sessionId, mode }: Required<Request>,
) {
  const base = { kind: "INTERNAL", status: "UNSET", events: [] };
  const agent = (service: string, name: string, type: string, more: object = {}) => ({
    ...base,
    service,
    span: `agent.process of ${service}`,
    attributes: {
      "jeeves.agent.name": name,
      "jeeves.agent.type": type,
      "jeeves.llm.calls": type === "llm" ? 1 : 0,
      "jeeves.request.id": requestId,
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": name,
      ...more,
    },
  });
  const count = expect.any(Number);
  const all = [
    {
      ...base,
      service: ORCHESTRATOR,
      span: `pipeline.execute of ${ORCHESTRATOR}`,
      events: ["pipeline.started", "pipeline.completed"],
      attributes: {
        "jeeves.pipeline.name": "chat",
        "jeeves.pipeline.mode": mode,
        "jeeves.request.id": requestId,
        "jeeves.envelope.id": expect.stringMatching(/^[0-9a-f-]{36}$/),
        "jeeves.session.id": sessionId,
      },
    },
    agent(ORCHESTRATOR, "router", "service", { "jeeves.router.agents": ["planner", "executor"] }),
    agent(PLANNER, "planner", "llm"),
    agent(TOOLS, "executor", "tool"),
    {
      ...base,
      service: LLM_GATEWAY,
      span: `llm.generate of ${LLM_GATEWAY}`,
      attributes: { "jeeves.agent.name": "planner", "jeeves.request.id": requestId },
    },
    {
      ...base,
      service: LLM_GATEWAY,
      span: `llm.provider.call of ${LLM_GATEWAY}`,
      attributes: {
        "jeeves.llm.provider": expect.any(String),
        "jeeves.llm.model": "jeeves-1",
        "jeeves.llm.tokens.prompt": count,
        "jeeves.llm.tokens.completion": count,
        "jeeves.llm.tokens.total": count,
        "jeeves.llm.cost_usd": count,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": expect.any(String),
        "gen_ai.request.model": "jeeves-1",
        "gen_ai.usage.input_tokens": count,
        "gen_ai.usage.output_tokens": count,
      },
    },
  ];
  return all
    .filter(({ service }) => implementations[service] !== "bare")
    .map(({ service: _, ...span }) => span);
}

function sorted<T extends { readonly span: string }>(spans: readonly T[]): T[] {
  return spans.toSorted((a, b) => a.span.localeCompare(b.span));
}

/** "python gateway, go orchestrator, ts agents ...", for the title of a test. */
export function titleOf(implementations: Implementations): string {
  const names = [GATEWAY, ORCHESTRATOR, AGENTS, PLANNER, TOOLS, LLM_GATEWAY];
  return names
    .map((name) => `${implementations[name] ?? "ts"} ${name.replace(/^jeeves-|-worker$/g, "")}`)
    .join(", ");
}
