import {
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnModuleDestroy,
} from "@nestjs/common";
import { clientOptions, edgeModules } from "../../system/adapters.js";
import type { Config } from "../../system/config.js";
import { loadService, ServiceClient } from "../../system/grpc.js";
import { ChatController, CONFIG, ORCHESTRATOR } from "./chat.controller.js";
import { HealthController } from "./health.controller.js";

/** Closes the client of the orchestrator when the application closes. */
@Injectable()
class ClientLifetime implements OnModuleDestroy {
  readonly #client: ServiceClient;

  constructor(@Inject(ORCHESTRATOR) client: ServiceClient) {
    this.#client = client;
  }

  onModuleDestroy(): void {
    this.#client.close();
  }
}

/** The application of the gateway role. */
@Module({})
export class GatewayModule {
  static async with(config: Config): Promise<DynamicModule> {
    return {
      module: GatewayModule,
      imports: await edgeModules({
        relation: config.EDGE_RELATION,
        baggage: config.EDGE_BAGGAGE ?? true,
        ignore: ["/healthz", "/readyz"],
      }),
      controllers: [ChatController, HealthController],
      providers: [
        ClientLifetime,
        { provide: CONFIG, useValue: config },
        {
          provide: ORCHESTRATOR,
          useFactory: async () =>
            new ServiceClient(
              config.ORCHESTRATOR_ADDRESS,
              loadService("orchestrator.proto", "jeeves.v1.Orchestrator"),
              await clientOptions(),
            ),
        },
      ],
    };
  }
}
