import { randomUUID } from "node:crypto";
import type { Span } from "@opentelemetry/api";
import { z } from "zod";
import { inAgentSpan, inSpan } from "../../system/spans.js";
import { type AgentsClient, StageError } from "./agents-client.js";

/** The request of ExecutePipeline and StreamPipeline. */
export const pipelineRequest = z.object({
  requestId: z.string().default(""),
  sessionId: z.string().default(""),
  userId: z.string().default(""),
  message: z.string().default(""),
  mode: z.enum(["sequential", "parallel", ""]).default(""),
});
/** The request of ExecutePipeline and StreamPipeline. */
export type PipelineRequest = z.infer<typeof pipelineRequest>;

/** An event of StreamPipeline: the JSON form of `PipelineEvent`. */
type PipelineEvent =
  | { readonly stage: { readonly agent: string; readonly state: "started" | "completed" } }
  | { readonly text: string };

/** Options of `executePipeline`. */
export interface PipelineOptions {
  readonly signal: AbortSignal;
  readonly stageTimeoutMs: number;
  /** Is called with each event. Without it the answer comes in one piece. */
  readonly emit?: ((event: PipelineEvent) => void) | undefined;
}

/** Runs router, planner and executor for one message and joins their answers. @throws StageError */
export function executePipeline(
  request: PipelineRequest,
  agents: AgentsClient,
  options: PipelineOptions,
): Promise<string> {
  const mode = request.mode === "" ? "sequential" : request.mode;
  const attributes = {
    "jeeves.pipeline.name": "chat",
    "jeeves.pipeline.mode": mode,
    "jeeves.request.id": request.requestId,
    "jeeves.envelope.id": randomUUID(),
    "jeeves.session.id": request.sessionId,
    ...(request.userId !== "" && { "jeeves.user.id": request.userId }),
  };
  return inSpan("pipeline.execute", attributes, async (span) => {
    span.addEvent("pipeline.started");
    try {
      const answers = await runStages(mode, request, agents, options);
      span.addEvent("pipeline.completed");
      return answers.join(" ");
    } catch (error) {
      setTerminationReason(span, error);
      throw error;
    }
  });
}

async function runStages(
  mode: "sequential" | "parallel",
  request: PipelineRequest,
  agents: AgentsClient,
  options: PipelineOptions,
): Promise<string[]> {
  await stage("router", options, route);
  const planner = (): Promise<string> => ask("planner", request, agents, options);
  const executor = (): Promise<string> => ask("executor", request, agents, options);
  if (mode === "sequential") return [await planner(), await executor()];
  return Promise.all([planner(), executor()]);
}

/** The router runs in this process. It always chooses both agents. */
function route(): Promise<void> {
  return inAgentSpan({ name: "router", type: "service" }, async (span) => {
    span.setAttribute("jeeves.router.agents", ["planner", "executor"]);
  });
}

function ask(
  agent: "planner" | "executor",
  { requestId, sessionId, message }: PipelineRequest,
  agents: AgentsClient,
  { signal, stageTimeoutMs, emit }: PipelineOptions,
): Promise<string> {
  const inPieces = agent === "planner" && emit !== undefined;
  return stage(agent, { emit }, () =>
    agents.ask(
      { requestId, sessionId, agent, message },
      {
        signal,
        timeoutMs: stageTimeoutMs,
        onPartial: inPieces ? (text) => emit({ text }) : undefined,
      },
    ),
  );
}

async function stage<T>(
  agent: string,
  { emit }: Pick<PipelineOptions, "emit">,
  work: () => Promise<T>,
): Promise<T> {
  emit?.({ stage: { agent, state: "started" } });
  const result = await work();
  emit?.({ stage: { agent, state: "completed" } });
  return result;
}

function setTerminationReason(span: Span, error: unknown): void {
  const reason = error instanceof StageError ? error.code.toLowerCase() : "error";
  span.setAttribute("termination.reason", reason);
}
