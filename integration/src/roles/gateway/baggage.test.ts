import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chat } from "../../system/chat.js";
import { loadService } from "../../system/grpc.js";
import { nodeCommand } from "../../topology/hosts.js";
import { RoleProcess } from "../../topology/process.js";
import { GATEWAY, ROLES } from "../../topology/roles.js";

// Stands in for the orchestrator and records the baggage that the gateway sends.
const received: string[] = [];
const orchestrator = new Server();
let address: string;

beforeAll(async () => {
  const note = (call: ServerUnaryCall<unknown, object>, reply: sendUnaryData<object>): void => {
    received.push(call.metadata.get("baggage").join(","));
    reply({ code: status.UNAVAILABLE, details: "closed" });
  };
  orchestrator.addService(loadService("orchestrator.proto", "jeeves.v1.Orchestrator"), {
    ExecutePipeline: note,
    StreamPipeline: note,
  });
  address = await new Promise((resolve, reject) => {
    orchestrator.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
});
afterAll(() => orchestrator.forceShutdown());

test.each([
  ["all of it", {}, ["region", "tenant"]],
  ["what is listed", { EDGE_BAGGAGE: "tenant, plan" }, ["tenant"]],
  ["nothing where the list is empty", { EDGE_BAGGAGE: "" }, []],
  ["nothing where the caller is only linked", { EDGE_RELATION: "link" }, []],
  [
    "what is listed, also where the caller is only linked",
    { EDGE_RELATION: "link", EDGE_BAGGAGE: "tenant" },
    ["tenant"],
  ],
])("the gateway accepts of a caller's baggage %s: %j", async (_, env, expected) => {
  const entry = ROLES.find(({ name }) => name === GATEWAY);
  if (entry === undefined) throw new Error("no gateway");
  const gateway = new RoleProcess(GATEWAY, nodeCommand(entry, "ts"), {
    ...env,
    ORCHESTRATOR_ADDRESS: address,
    OTEL_TRACES_EXPORTER: "none",
    OTEL_METRICS_EXPORTER: "none",
    OTEL_LOGS_EXPORTER: "none",
  });
  const { outside } = await gateway.ready(20_000);
  await chat(`http://${outside}`, {
    headers: {
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      baggage: "tenant=acme,region=eu",
    },
  });
  await gateway.stop();

  const keys = received
    .at(-1)
    ?.split(",")
    .map((member) => member.split("=")[0]);
  expect(keys?.filter((key) => !key?.startsWith("jeeves."))?.sort()).toEqual(expected);
  expect(keys).toEqual(expect.arrayContaining(["jeeves.request.id", "jeeves.session.id"]));
});
