import {
  AGENTS,
  GATEWAY,
  type Implementations,
  LLM_GATEWAY,
  ORCHESTRATOR,
  PLANNER,
  PROVIDER,
  ROLES,
  TOOLS,
} from "./roles.js";

/** Every hop of a request, and by what it is made. */
export interface Hop {
  readonly from: string;
  readonly to: string;
  readonly via: string;
}

interface Step {
  readonly to: string;
  /** What carries the request there: in one piece, and streamed. */
  readonly via: string;
  readonly streamed?: string;
}

const REQUESTED: readonly Step[] = [
  { to: GATEWAY, via: "" },
  {
    to: ORCHESTRATOR,
    via: "grpc jeeves.v1.Orchestrator/ExecutePipeline",
    streamed: "grpc jeeves.v1.Orchestrator/StreamPipeline",
  },
  { to: AGENTS, via: "kafka jeeves.agents.requests" },
];
const PLANNED: readonly Step[] = [...REQUESTED, { to: PLANNER, via: "bullmq jeeves-planner" }];
const REPLIED: Step = { to: ORCHESTRATOR, via: "kafka jeeves.agents.replies" };

// The ways one request takes from service to service; together they cross every boundary.
const STEP_PATHS: readonly (readonly Step[])[] = [
  [
    ...PLANNED,
    {
      to: LLM_GATEWAY,
      via: "grpc jeeves.v1.LlmGateway/Generate",
      streamed: "grpc jeeves.v1.LlmGateway/GenerateStream",
    },
  ],
  [...PLANNED, REPLIED],
  [...REQUESTED, { to: TOOLS, via: "kafka jeeves.tools.requests" }, REPLIED],
];

/** What one request leaves behind: who makes spans, and which ways they lie on. */
export interface ExpectedTrace {
  /** The services whose spans make up one trace. */
  readonly services: readonly string[];
  readonly paths: readonly (readonly string[])[];
  readonly root: { readonly service: string; readonly kind: "SERVER" | "CONSUMER" };
}

/**
 * What is expected of a system made of these. A bare role makes no span: the ways lead past it, and the next
 * service continues the exit span of the one before it.
 */
export function expectedTrace(implementations: Implementations = {}): ExpectedTrace {
  const paths = STEP_PATHS.map((steps) => visibleSteps(steps, implementations).map(({ to }) => to));
  const [service = GATEWAY] = paths[0] ?? [];
  return {
    services: ROLES.map(({ name }) => name).filter(
      (name) => name !== PROVIDER && implementations[name] !== "bare",
    ),
    paths,
    root: {
      service,
      kind: service === GATEWAY || service === ORCHESTRATOR ? "SERVER" : "CONSUMER",
    },
  };
}

/** The hops that one request makes. @param streamed - whether the text comes in pieces */
export function hopsOf(streamed: boolean, implementations: Implementations = {}): readonly Hop[] {
  const hops = new Map<string, Hop>();
  for (const path of STEP_PATHS) {
    const steps = visibleSteps(path, implementations);
    for (const [i, step] of steps.entries()) {
      const from = steps[i - 1]?.to;
      if (from === undefined) continue;
      const via = (streamed ? step.streamed : undefined) ?? step.via;
      hops.set(`${from} ${step.to} ${via}`, { from, to: step.to, via });
    }
  }
  return [...hops.values()];
}

function visibleSteps(steps: readonly Step[], implementations: Implementations): readonly Step[] {
  return steps.filter(({ to }) => implementations[to] !== "bare");
}

const all = expectedTrace();
/** The services whose spans make up one trace of a system that has no bare role. */
export const SERVICES: readonly string[] = all.services;
/** Its ways from service to service. */
export const PATHS: readonly (readonly string[])[] = all.paths;
