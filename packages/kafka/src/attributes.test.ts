import { describe, expect, test } from "vitest";
import {
  identifiesRecord,
  parseOffset,
  processAttributes,
  recordMetadataAttributes,
  sendAttributes,
  transactionAttributes,
} from "./attributes.js";

const SENDING = {
  "messaging.system.name": "kafka",
  "messaging.destination.name": "orders",
  "messaging.operation.name": "send",
  "messaging.operation.type": "send",
};
const PROCESSING = {
  "messaging.system.name": "kafka",
  "messaging.destination.name": "orders",
  "messaging.operation.name": "process",
  "messaging.operation.type": "process",
  "messaging.destination.partition.id": "2",
};

describe("the span of a message that is sent", () => {
  test("names the client, the partition that was asked for, and a tombstone", () => {
    expect(sendAttributes("orders", "checkout", 2, null)).toStrictEqual({
      ...SENDING,
      "messaging.client.id": "checkout",
      "messaging.destination.partition.id": "2",
      "kafka.message.tombstone": true,
    });
  });

  test("says nothing of what is not known", () => {
    expect(sendAttributes("orders", undefined, undefined, "{}")).toStrictEqual(SENDING);
  });

  test.each([null, "2", 2n, {}])("names no partition where %o was asked for", (partition) => {
    expect(sendAttributes("orders", undefined, partition, "{}")).toStrictEqual(SENDING);
  });

  test("names the first partition and the first offset as such", () => {
    expect(sendAttributes("orders", undefined, 0, "{}")).toStrictEqual({
      ...SENDING,
      "messaging.destination.partition.id": "0",
    });
    expect(recordMetadataAttributes(0, 0)).toStrictEqual({
      "messaging.destination.partition.id": "0",
      "kafka.offset": 0,
    });
  });
});

describe("the span of a transaction's end", () => {
  test("names the operation and the client", () => {
    expect(transactionAttributes("abort", "checkout")).toStrictEqual({
      "messaging.system.name": "kafka",
      "messaging.operation.name": "abort",
      "messaging.client.id": "checkout",
    });
  });

  test("says nothing of a client that is not known", () => {
    expect(transactionAttributes("commit", undefined)).toStrictEqual({
      "messaging.system.name": "kafka",
      "messaging.operation.name": "commit",
    });
  });
});

describe("the span of a message that is processed", () => {
  test("names its partition and offset, the consumer group, the client, and a tombstone", () => {
    const record = { topic: "orders", partition: 2, message: { offset: "41", value: null } };

    expect(processAttributes(record, "billing", "biller")).toStrictEqual({
      ...PROCESSING,
      "kafka.offset": 41,
      "messaging.consumer.group.name": "billing",
      "messaging.client.id": "biller",
      "kafka.message.tombstone": true,
    });
  });

  test("says nothing of what is not known", () => {
    const record = { topic: "orders", partition: 2, message: {} };

    expect(processAttributes(record, undefined, undefined)).toStrictEqual(PROCESSING);
  });
});

describe("an offset", () => {
  test.each<[unknown, number]>([
    ["41", 41],
    [41n, 41],
    [41, 41],
    ["0", 0],
    [String(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER],
  ])("is read from %o", (given, offset) => {
    expect(parseOffset(given)).toBe(offset);
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a boolean", true],
    ["an empty list", []],
    ["an empty text", ""],
    ["a word", "latest"],
    ["a number below zero", -1],
    ["a fraction", 1.5],
    ["more than a number can hold", 2n ** 53n],
  ])("is not known from %s", (_, given) => {
    expect(parseOffset(given)).toBeUndefined();
  });
});

describe("somebody else's span", () => {
  const record = { topic: "orders", partition: 2, message: { offset: "41" } };
  const theirs = {
    "messaging.destination.name": "orders",
    "messaging.destination.partition.id": "2",
    "kafka.offset": 41,
  };

  test("is about a record when it names its topic, partition and offset", () => {
    expect(identifiesRecord(theirs, record)).toBe(true);
  });

  test.each<[string, unknown]>([
    ["another topic", { ...theirs, "messaging.destination.name": "shipments" }],
    ["another partition", { ...theirs, "messaging.destination.partition.id": "3" }],
    ["another offset", { ...theirs, "kafka.offset": 42 }],
    ["no topic", { ...theirs, "messaging.destination.name": undefined }],
    ["no partition", { ...theirs, "messaging.destination.partition.id": undefined }],
    ["no offset", { ...theirs, "kafka.offset": undefined }],
  ])("is about another record when it names %s", (_, attributes) => {
    expect(identifiesRecord(attributes, record)).toBe(false);
  });

  test("is not about a record of which no offset is known", () => {
    const unknown = { topic: "orders", partition: 2, message: {} };

    expect(identifiesRecord({ ...theirs, "kafka.offset": undefined }, unknown)).toBe(false);
  });

  test.each([undefined, null, "orders", 41])("without attributes (%o) is about nothing", (none) => {
    expect(identifiesRecord(none, record)).toBe(false);
  });
});
