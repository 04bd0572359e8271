import { types } from "node:util";
import { context, SpanKind } from "@opentelemetry/api";
import { type Instrumenter, withSpan } from "@traceferry/core";
import { transactionAttributes } from "../attributes.js";
import { createInstrumenter, type IncomingRecord, type KafkaOptions } from "../options.js";
import { isObject, isPatched, isWrapped, type Method, wrap } from "../wrap.js";
import { SendBatch, type SendTarget, type TransactionTarget } from "./send-batch.js";

/** A producer as kafkajs makes it. */
export interface ProducerLike {
  send(record: never): Promise<unknown>;
  sendBatch(batch: never): Promise<unknown>;
}

/**
 * Wraps a producer so that its `send`, `sendBatch` and transactions are traced: each message leaves with a
 * context of its own, in a span `send <topic>` that ends with the broker's answer. Neither the given producer
 * nor what is sent is changed, and what fails, fails as without tracing. A producer that is traced already is
 * returned as it is.
 *
 * @throws TypeError when an option is wrong.
 */
export function traceProducer<Producer extends ProducerLike>(
  producer: Producer,
  options: KafkaOptions = {},
): Producer {
  return new Outgoing(createInstrumenter(options), options).wrapProducer(producer);
}

/** Traces what one client, or one producer, sends. */
export class Outgoing {
  readonly #instrumenter: Instrumenter<IncomingRecord>;
  readonly #clientId: string | undefined;

  constructor(instrumenter: Instrumenter<IncomingRecord>, { clientId }: KafkaOptions) {
    this.#instrumenter = instrumenter;
    this.#clientId = clientId;
  }

  /** Wraps a producer; one that is traced already is returned as it is. */
  wrapProducer<Producer extends object>(producer: Producer): Producer {
    if (isWrapped(producer)) return producer;
    return wrap(producer, {
      send: (original, args) =>
        this.#send(producer, original, args, "send", { patched: isPatched(original) }),
      sendBatch: (original, args) =>
        this.#send(producer, original, args, "sendBatch", { patched: isPatched(original) }),
      transaction: (original, args) => {
        const result = Reflect.apply(original, producer, args);
        const target: TransactionTarget = { patched: isPatched(original), links: [] };
        const traced = (transaction: unknown) =>
          isObject(transaction) ? this.#wrapTransaction(transaction, target) : transaction;
        return types.isPromise(result) ? result.then(traced) : traced(result);
      },
    });
  }

  #wrapTransaction(transaction: object, target: TransactionTarget): object {
    return wrap(transaction, {
      send: (original, args) => this.#send(transaction, original, args, "send", target),
      sendBatch: (original, args) => this.#send(transaction, original, args, "sendBatch", target),
      commit: (original, args) =>
        this.#endTransaction("commit", transaction, original, args, target),
      abort: (original, args) => this.#endTransaction("abort", transaction, original, args, target),
    });
  }

  #endTransaction(
    operation: "commit" | "abort",
    transaction: object,
    original: Method,
    args: readonly unknown[],
    { patched, links }: TransactionTarget,
  ): unknown {
    const callOriginal = () => Reflect.apply(original, transaction, args);
    if (patched) return callOriginal();
    const activeSpan = this.#instrumenter.startSpan({
      name: `${operation} transaction`,
      kind: SpanKind.CLIENT,
      attributes: transactionAttributes(operation, this.#clientId),
      links,
      parent: context.active(),
    });
    return withSpan(activeSpan, callOriginal);
  }

  #send(
    owner: object,
    original: Method,
    args: readonly unknown[],
    operation: "send" | "sendBatch",
    target: SendTarget,
  ): unknown {
    const batch = new SendBatch(this.#instrumenter, this.#clientId, target);
    const tracedArgs = batch.start(operation, args);
    let result: unknown;
    try {
      result = Reflect.apply(original, owner, tracedArgs);
    } catch (error) {
      batch.fail(error);
      throw error;
    }
    if (!types.isPromise(result)) {
      batch.acknowledge(result);
      return result;
    }
    return result.then(
      (response: unknown) => {
        batch.acknowledge(response);
        return response;
      },
      (error: unknown) => {
        batch.fail(error);
        throw error;
      },
    );
  }
}
