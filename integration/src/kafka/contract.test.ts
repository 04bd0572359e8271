import { adapterContract } from "@traceferry/contract";
import { afterAll, beforeAll, test } from "vitest";
import { describeWithEngines } from "../suite/engines.test-support.js";
import {
  consuming,
  deliveries,
  GROUP,
  INBOX,
  kafkajs,
  OUTBOX,
  outbox,
  PARTITIONS,
  QUICK,
  useKafka,
} from "./broker.test-support.js";

describeWithEngines("kafkajs on a broker keeps the contract", () => {
  const { kafka } = useKafka();
  let consumers: AsyncDisposable[] = [];

  beforeAll(async () => {
    consumers = await Promise.all([
      consuming(kafka().consumer({ groupId: GROUP, ...QUICK }), INBOX, {
        partitionsConsumedConcurrently: PARTITIONS,
        eachMessage: async (payload) => deliveries.get(String(payload.message.key))?.(payload),
      }),
      consuming(kafka().consumer({ groupId: `${GROUP}-outbox`, ...QUICK }), OUTBOX, {
        eachMessage: outbox.eachMessage,
      }),
    ]);
  });
  afterAll(async () => {
    for (const consumer of consumers) await consumer[Symbol.asyncDispose]();
  });

  for (const { title, run, timeout } of adapterContract(kafkajs)) test(title, run, timeout);
});
