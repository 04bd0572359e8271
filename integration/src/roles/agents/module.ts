import { BullModule } from "@nestjs/bullmq";
import {
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnModuleDestroy,
} from "@nestjs/common";
import type { Producer } from "kafkajs";
import { edgeModules, queueTelemetry, tracedKafka } from "../../system/adapters.js";
import type { Config } from "../../system/config.js";
import { createKafka } from "../../system/kafka.js";
import { PLANNER_QUEUE } from "../../system/messages.js";
import { Dispatcher, PRODUCER } from "./dispatcher.js";

/** Disconnects the producer when the application closes. */
@Injectable()
class ProducerLifetime implements OnModuleDestroy {
  readonly #producer: Producer;

  constructor(@Inject(PRODUCER) producer: Producer) {
    this.#producer = producer;
  }

  async onModuleDestroy(): Promise<void> {
    await this.#producer.disconnect();
  }
}

/** The application of the agents role. */
@Module({})
export class AgentsModule {
  static async with(config: Config): Promise<DynamicModule> {
    const { hostname: host, port, username, password } = new URL(config.REDIS_URL);
    return {
      module: AgentsModule,
      imports: [
        ...(await edgeModules()),
        BullModule.forRoot({
          connection: { host, port: Number(port || 6379), username, password },
          telemetry: await queueTelemetry(),
        }),
        BullModule.registerQueue({
          name: PLANNER_QUEUE,
          defaultJobOptions: { removeOnComplete: true, removeOnFail: 1000 },
        }),
      ],
      controllers: [Dispatcher],
      providers: [
        ProducerLifetime,
        {
          provide: PRODUCER,
          useFactory: async (): Promise<Producer> => {
            const kafka = await tracedKafka(createKafka(config, "jeeves-agents"));
            const producer = kafka.producer();
            await producer.connect();
            return producer;
          },
        },
      ],
    };
  }
}
