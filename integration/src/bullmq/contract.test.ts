import { adapterContract } from "@traceferry/contract";
import { test } from "vitest";
import { describeWithEngines } from "../suite/engines.test-support.js";
import { bullmq, useRedis } from "./shop.test-support.js";

describeWithEngines("a queue and a worker on Redis keep the contract", () => {
  useRedis();
  for (const { title, run, timeout } of adapterContract(bullmq)) test(title, run, timeout);
});
