import { adapterContract } from "@traceferry/testkit/contract";
import { test } from "vitest";
import { describeWithEngines } from "../suite/engines.js";
import { bullmq, useRedis } from "./shop.js";

describeWithEngines("a queue and a worker on Redis keep the contract", () => {
  useRedis();
  for (const promise of adapterContract(bullmq)) test(promise.title, promise.run);
});
