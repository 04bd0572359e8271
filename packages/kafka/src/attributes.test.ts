import { describe, expect, test } from "vitest";
import {
  identifiesRecord,
  parseOffset,
  processAttributes,
  recordMetadataAttributes,
  sendAttributes,
  transactionAttributes,
} from "./attributes.js";

const SEND_ATTRIBUTES = {
  "messaging.system.name": "kafka",
  "messaging.destination.name": "orders",
  "messaging.operation.name": "send",
  "messaging.operation.type": "send",
};
const PROCESS_ATTRIBUTES = {
  "messaging.system.name": "kafka",
  "messaging.destination.name": "orders",
  "messaging.operation.name": "process",
  "messaging.operation.type": "process",
  "messaging.destination.partition.id": "2",
};

describe("the span of a message that is sent", () => {
  test("names the client, the requested partition, and a tombstone", () => {
    expect(sendAttributes("orders", "checkout", 2, null)).toStrictEqual({
      ...SEND_ATTRIBUTES,
      "messaging.client.id": "checkout",
      "messaging.destination.partition.id": "2",
      "kafka.message.tombstone": true,
    });
  });

  test("leaves out what is not known", () => {
    expect(sendAttributes("orders", undefined, undefined, "{}")).toStrictEqual(SEND_ATTRIBUTES);
  });

  test.each([null, "2", 2n, {}])("names no partition where %o was requested", (partition) => {
    expect(sendAttributes("orders", undefined, partition, "{}")).toStrictEqual(SEND_ATTRIBUTES);
  });

  test("names partition 0 and offset 0", () => {
    expect(sendAttributes("orders", undefined, 0, "{}")).toStrictEqual({
      ...SEND_ATTRIBUTES,
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

  test("leaves out a client that is not known", () => {
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
      ...PROCESS_ATTRIBUTES,
      "kafka.offset": 41,
      "messaging.consumer.group.name": "billing",
      "messaging.client.id": "biller",
      "kafka.message.tombstone": true,
    });
  });

  test("leaves out what is not known", () => {
    const record = { topic: "orders", partition: 2, message: {} };

    expect(processAttributes(record, undefined, undefined)).toStrictEqual(PROCESS_ATTRIBUTES);
  });
});

describe("an offset", () => {
  test.each<[unknown, number]>([
    ["41", 41],
    [41n, 41],
    [41, 41],
    ["0", 0],
    [String(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER],
  ])("is read from %o", (value, offset) => {
    expect(parseOffset(value)).toBe(offset);
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
  ])("is not known from %s", (_, value) => {
    expect(parseOffset(value)).toBeUndefined();
  });
});

describe("another span's attributes", () => {
  const record = { topic: "orders", partition: 2, message: { offset: "41" } };
  const attributes = {
    "messaging.destination.name": "orders",
    "messaging.destination.partition.id": "2",
    "kafka.offset": 41,
  };

  test("identify a record when they name its topic, partition and offset", () => {
    expect(identifiesRecord(attributes, record)).toBe(true);
  });

  test.each<[string, unknown]>([
    ["another topic", { ...attributes, "messaging.destination.name": "shipments" }],
    ["another partition", { ...attributes, "messaging.destination.partition.id": "3" }],
    ["another offset", { ...attributes, "kafka.offset": 42 }],
    ["no topic", { ...attributes, "messaging.destination.name": undefined }],
    ["no partition", { ...attributes, "messaging.destination.partition.id": undefined }],
    ["no offset", { ...attributes, "kafka.offset": undefined }],
  ])("identify another record when they name %s", (_, others) => {
    expect(identifiesRecord(others, record)).toBe(false);
  });

  test("identify no record whose offset is not known", () => {
    const unknown = { topic: "orders", partition: 2, message: {} };

    expect(identifiesRecord({ ...attributes, "kafka.offset": undefined }, unknown)).toBe(false);
  });

  test.each([undefined, null, "orders", 41])(
    "identify nothing where there are none (%o)",
    (none) => {
      expect(identifiesRecord(none, record)).toBe(false);
    },
  );
});
