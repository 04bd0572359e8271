/** Requests to the agents, from the orchestrator to the dispatcher. */
export const AGENT_REQUESTS = "jeeves.agents.requests";
/** What the workers answer, to the orchestrator. */
export const AGENT_REPLIES = "jeeves.agents.replies";
/** Requests that the dispatcher hands on to the tools worker. */
export const TOOL_REQUESTS = "jeeves.tools.requests";
/** The BullMQ queue of the planner worker. */
export const PLANNER_QUEUE = "jeeves-planner";

export const TOPICS = [AGENT_REQUESTS, AGENT_REPLIES, TOOL_REQUESTS];
/** Consumers work on as many messages at a time as there are partitions. */
export const PARTITIONS = 8;
