import {
  Instrumenter,
  type InstrumenterSettings,
  type TracingOptions,
  wrongOption,
} from "@traceferry/core";
import type { KafkaHeaders } from "./carrier/headers.js";
import { VERSION } from "./version.js";

/** A record that came in, as far as we look at it: what the handler `eachMessage` of kafkajs is given. */
export interface IncomingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly message: {
    readonly offset?: string | number | bigint;
    readonly key?: unknown;
    readonly value?: unknown;
    readonly headers?: KafkaHeaders | null | undefined;
  };
}

/** What `traceKafka` and `traceProducer` take. All of it may be left out; `maxBytes` is 8192 by default. */
export interface KafkaOptions extends TracingOptions<IncomingRecord> {
  /** The attribute `messaging.client.id`; kafkajs does not tell what it was created with. Default: none. */
  readonly clientId?: string;
}

/** What `traceConsumer` and `traceEachMessage` take besides. */
export interface ConsumerOptions extends KafkaOptions {
  /** The attribute `messaging.consumer.group.name`. Default: none; `traceKafka` knows it by itself. */
  readonly groupId?: string;
}

export const SETTINGS: InstrumenterSettings = {
  name: "kafka",
  scope: "@traceferry/kafka",
  version: VERSION,
  messaging: true,
  maxBytes: 8192,
};

/** Checks the options. @throws TypeError when one is wrong; it names the option and its value. */
export function createInstrumenter(options: ConsumerOptions): Instrumenter<IncomingRecord> {
  for (const name of ["clientId", "groupId"] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "string") throw wrongOption(name, "a text", value);
  }
  return new Instrumenter(SETTINGS, options);
}
