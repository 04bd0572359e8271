import {
  Instrumenter,
  type InstrumenterSettings,
  type TracingOptions,
  wrongOption,
} from "@traceferry/core";
import type { KafkaHeaders } from "./carrier/headers.js";
import { VERSION } from "./version.js";

/** The part of an incoming record that is read here. The payload of kafkajs' `eachMessage` has it. */
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

/** Options of `traceKafka` and `traceProducer`, all of them optional; `maxBytes` is 8192 by default. */
export interface KafkaOptions extends TracingOptions<IncomingRecord> {
  /** The attribute `messaging.client.id`; a kafkajs client does not expose its own. Default: none. */
  readonly clientId?: string;
}

/** Options of `traceConsumer` and `traceEachMessage`, all of them optional. */
export interface ConsumerOptions extends KafkaOptions {
  /** The attribute `messaging.consumer.group.name`. Default: none; `traceKafka` reads it from the configuration. */
  readonly groupId?: string;
}

/** The settings that all instrumenters of this adapter share. */
export const SETTINGS: InstrumenterSettings = {
  name: "kafka",
  scope: "@traceferry/kafka",
  version: VERSION,
  messaging: true,
  maxBytes: 8192,
};

/**
 * Checks the options and makes an instrumenter with them.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function createInstrumenter(options: ConsumerOptions): Instrumenter<IncomingRecord> {
  for (const name of ["clientId", "groupId"] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "string") throw wrongOption(name, "a text", value);
  }
  return new Instrumenter(SETTINGS, options);
}
