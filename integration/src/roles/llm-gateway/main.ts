import {
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { serverOptions } from "../../system/adapters.js";
import { readConfig } from "../../system/config.js";
import { abortedBy, loadService, serve, shutDown } from "../../system/grpc.js";
import { runRole, type Service } from "../../system/service.js";
import { flushTracing } from "../../system/tracing.js";
import { generate, generateRequest, toStatus } from "./generate.js";
import { ProviderClient } from "./provider-client.js";

async function start(): Promise<Service> {
  const config = readConfig();
  const provider = new ProviderClient(config);
  const server = new Server(await serverOptions());
  server.addService(loadService("llm.proto", "jeeves.v1.LlmGateway"), {
    Generate: (call: ServerUnaryCall<unknown, object>, reply: sendUnaryData<object>) => {
      const cancel = abortedBy(call);
      generate(config, generateRequest.parse(call.request), (prompt) =>
        provider.complete(prompt, cancel),
      ).then(
        (done) => reply(null, done),
        (error: unknown) => reply(toStatus(error)),
      );
    },
    GenerateStream: (call: ServerWritableStream<unknown, object>) => {
      const cancel = abortedBy(call);
      generate(config, generateRequest.parse(call.request), (prompt) =>
        provider.stream(prompt, cancel, (text) => call.write({ text })),
      ).then(
        (done) => {
          call.write({ text: "", done });
          call.end();
        },
        (error: unknown) => call.emit("error", toStatus(error)),
      );
    },
  });
  const address = await serve(server, config.HOST, config.PORT);
  return { address, stop: () => shutDown(server) };
}

await runRole({ name: "jeeves-llm-gateway", start, flush: flushTracing });
