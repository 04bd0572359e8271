import { types } from "node:util";
import { context, SpanKind } from "@opentelemetry/api";
import { type Instrumenter, withSpan } from "@traceferry/core";
import { transactionAttributes } from "../attributes.js";
import { createInstrumenter, type IncomingRecord, type KafkaOptions } from "../options.js";
import { isObject, isOverlay, isPatched, type Method, overlay } from "../wrap.js";
import { type Route, Sending } from "./send-batch.js";

/** A producer as kafkajs makes it. */
export interface ProducerLike {
  send(record: never): Promise<unknown>;
  sendBatch(batch: never): Promise<unknown>;
}

/**
 * A producer whose `send`, `sendBatch` and transactions are traced: each message leaves with a context of its
 * own, in a span `send <topic>` that ends with the broker's answer. The producer that is given, and what is
 * sent, stay as they are; what fails fails as it does without us.
 *
 * @throws TypeError when an option is wrong.
 */
export function traceProducer<Producer extends ProducerLike>(
  producer: Producer,
  options: KafkaOptions = {},
): Producer {
  return new Outgoing(createInstrumenter(options), options).producer(producer);
}

/** The sending side of one client or producer. */
export class Outgoing {
  readonly #instrumenter: Instrumenter<IncomingRecord>;
  readonly #clientId: string | undefined;

  constructor(instrumenter: Instrumenter<IncomingRecord>, { clientId }: KafkaOptions) {
    this.#instrumenter = instrumenter;
    this.#clientId = clientId;
  }

  producer<Producer extends object>(producer: Producer): Producer {
    if (isOverlay(producer)) return producer;
    return overlay(producer, {
      send: (bare, args) => this.#send(producer, bare, args, "send", { patched: isPatched(bare) }),
      sendBatch: (bare, args) =>
        this.#send(producer, bare, args, "sendBatch", { patched: isPatched(bare) }),
      transaction: (bare, args) => {
        const begun = Reflect.apply(bare, producer, args);
        const route: Required<Route> = { patched: isPatched(bare), sent: [] };
        const traced = (transaction: unknown) =>
          isObject(transaction) ? this.#transaction(transaction, route) : transaction;
        return types.isPromise(begun) ? begun.then(traced) : traced(begun);
      },
    });
  }

  #transaction(transaction: object, route: Required<Route>): object {
    return overlay(transaction, {
      send: (bare, args) => this.#send(transaction, bare, args, "send", route),
      sendBatch: (bare, args) => this.#send(transaction, bare, args, "sendBatch", route),
      commit: (bare, args) => this.#end("commit", transaction, bare, args, route),
      abort: (bare, args) => this.#end("abort", transaction, bare, args, route),
    });
  }

  #end(
    operation: "commit" | "abort",
    transaction: object,
    bare: Method,
    args: readonly unknown[],
    { patched, sent }: Required<Route>,
  ): unknown {
    const next = () => Reflect.apply(bare, transaction, args);
    if (patched) return next();
    const open = this.#instrumenter.startSpan({
      name: `${operation} transaction`,
      kind: SpanKind.CLIENT,
      attributes: transactionAttributes(operation, this.#clientId),
      links: sent,
      parent: context.active(),
    });
    return withSpan(open, next);
  }

  #send(
    owner: object,
    bare: Method,
    args: readonly unknown[],
    form: "send" | "sendBatch",
    route: Route,
  ): unknown {
    const sending = new Sending(this.#instrumenter, this.#clientId, route);
    const traced = sending.begin(form, args);
    let result: unknown;
    try {
      result = Reflect.apply(bare, owner, traced);
    } catch (error) {
      sending.fail(error);
      throw error;
    }
    if (!types.isPromise(result)) {
      sending.acknowledge(result);
      return result;
    }
    return result.then(
      (metadata: unknown) => {
        sending.acknowledge(metadata);
        return metadata;
      },
      (error: unknown) => {
        sending.fail(error);
        throw error;
      },
    );
  }
}
