import { expect, test } from "vitest";
import { firstRecordsByTopic, metadataOfMessages, type RecordMetadata } from "./record-metadata.js";

const firstRecord = (partition: number, baseOffset?: string, topicName = "orders") => ({
  topicName,
  partition,
  errorCode: 0,
  ...(baseOffset !== undefined && { baseOffset }),
});
const requesting = (...partitions: unknown[]) => partitions.map((partition) => ({ partition }));
const metadataOf = (
  response: unknown,
  messages: { partition: unknown }[],
): readonly RecordMetadata[] =>
  metadataOfMessages(firstRecordsByTopic(response).get("orders"), messages);

test("messages that went to one partition have consecutive offsets", () => {
  expect(metadataOf([firstRecord(3, "41")], requesting(undefined, undefined, undefined))).toEqual([
    { partition: 3, offset: 41 },
    { partition: 3, offset: 42 },
    { partition: 3, offset: 43 },
  ]);
});

test("messages that requested their partitions are counted in each", () => {
  expect(metadataOf([firstRecord(1, "7"), firstRecord(0, "20")], requesting(0, 1, 0, 1))).toEqual([
    { partition: 0, offset: 20 },
    { partition: 1, offset: 7 },
    { partition: 0, offset: 21 },
    { partition: 1, offset: 8 },
  ]);
});

test("nothing is known of messages that a partitioner spread", () => {
  const two = [firstRecord(0, "1"), firstRecord(1, "1")];

  expect(metadataOf(two, requesting(undefined, undefined))).toEqual([]);
  expect(metadataOf(two, requesting(0, undefined))).toEqual([]);
});

test("nothing is known where a partitioner did not use the partitions that messages requested", () => {
  const two = [firstRecord(0, "1"), firstRecord(1, "1")];

  expect(metadataOf(two, requesting(0, 0))).toEqual([]);
  expect(metadataOf(two, requesting(0, 2))).toEqual([]);
  expect(metadataOf(two, requesting(0, 1, 2))).toEqual([]);
  expect(metadataOf(two, requesting("0", "1"))).toEqual([]);
});

test("nothing is known where a partition answered twice", () => {
  expect(metadataOf([firstRecord(0, "1"), firstRecord(0, "9")], requesting(0, 0))).toEqual([]);
});

test("nothing is known without an acknowledgement", () => {
  expect(metadataOf([], requesting(0))).toEqual([]);
  expect(metadataOf(undefined, requesting(0))).toEqual([]);
  expect(metadataOf([firstRecord(0)], requesting(0))).toEqual([]);
  expect(metadataOf([firstRecord(0, "-1")], requesting(0))).toEqual([]);
  expect(metadataOf([firstRecord(0, "")], requesting(0))).toEqual([]);
  expect(metadataOf([{ ...firstRecord(0, "1"), partition: "0" }], requesting(0))).toEqual([]);
  expect(metadataOf([null, 7, {}, firstRecord(0, "1", "others")], requesting(0))).toEqual([]);
});

test("brokers that answer with the offset in its older field, or as a bigint, are understood", () => {
  const messages = requesting(undefined);

  expect(metadataOf([{ topicName: "orders", partition: 0, offset: "5" }], messages)).toEqual([
    { partition: 0, offset: 5 },
  ]);
  expect(metadataOf([{ topicName: "orders", partition: 0, baseOffset: 5n }], messages)).toEqual([
    { partition: 0, offset: 5 },
  ]);
});
