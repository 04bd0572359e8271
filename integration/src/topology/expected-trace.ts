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

/** One hop of a request, and the transport that makes it. */
export interface Hop {
  readonly from: string;
  readonly to: string;
  readonly via: string;
}

interface Step {
  readonly to: string;
  /** The transport with its method, topic or queue. */
  readonly via: string;
  /** The same for a streamed request, when it differs. */
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

// The paths of one request from service to service. Together they cross every boundary.
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

/** The trace that is expected of one request. */
export interface ExpectedTrace {
  /** The services whose spans make up one trace. */
  readonly services: readonly string[];
  /** The paths from service to service. */
  readonly paths: readonly (readonly string[])[];
  /** The service and the kind of the root span. */
  readonly root: { readonly service: string; readonly kind: "SERVER" | "CONSUMER" };
}

/**
 * The trace that is expected of a system of these implementations. A bare role makes no span: it is on no path, and the
 * next service continues the exit span of the one before it.
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

/** The hops of one request. @param streamed - true for a streamed answer */
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
/** The services with spans in a trace of a system without bare roles. */
export const SERVICES: readonly string[] = all.services;
/** The paths of such a trace from service to service. */
export const PATHS: readonly (readonly string[])[] = all.paths;
