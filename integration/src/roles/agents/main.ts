import { flushTracing } from "../../system/tracing.js";
import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { type MicroserviceOptions, Transport } from "@nestjs/microservices";
import { readConfig } from "../../system/config.js";
import { kafkaConfig, MAX_WAIT_MS } from "../../system/kafka.js";
import { PARTITIONS } from "../../system/messages.js";
import { runRole, type Service } from "../../system/service.js";
import { AgentsModule } from "./module.js";

const NAME = "jeeves-agents";

async function start(): Promise<Service> {
  const config = readConfig();
  const module = await AgentsModule.with(config);
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(module, {
    logger: ["error", "warn"],
    // Nest would exit by itself, without the error message of a role.
    abortOnError: false,
    transport: Transport.KAFKA,
    options: {
      // Otherwise Nest appends "-server" to the ids of client and group.
      postfixId: "",
      client: kafkaConfig(config, NAME),
      consumer: { groupId: NAME, maxWaitTimeInMs: MAX_WAIT_MS },
      subscribe: { fromBeginning: true },
      run: { partitionsConsumedConcurrently: PARTITIONS },
    },
  });
  await app.listen();
  return { stop: () => app.close() };
}

await runRole({ name: NAME, start, flush: flushTracing });
