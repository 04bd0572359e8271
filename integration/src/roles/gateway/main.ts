import { flushTracing } from "../../system/tracing.js";
import "reflect-metadata";
import type { AddressInfo } from "node:net";
import { NestFactory } from "@nestjs/core";
import { readConfig } from "../../system/config.js";
import { hostAndPort, runRole, type Service } from "../../system/service.js";
import { GatewayModule } from "./module.js";

async function start(): Promise<Service> {
  const config = readConfig();
  const app = await NestFactory.create(await GatewayModule.with(config), {
    logger: ["error", "warn"],
    // Nest would exit by itself, without the error message of a role.
    abortOnError: false,
    // Otherwise open event streams would keep the server from closing.
    forceCloseConnections: true,
  });
  await app.listen(config.PORT, config.HOST);
  const bound: AddressInfo | string | null = app.getHttpServer().address();
  return { address: hostAndPort(bound), stop: () => app.close() };
}

await runRole({ name: "jeeves-gateway", start, flush: flushTracing });
