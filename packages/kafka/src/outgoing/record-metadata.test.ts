import { expect, test } from "vitest";
import { type Place, placesOf, topicsOf } from "./record-metadata.js";

const answer = (partition: number, baseOffset?: string, topicName = "orders") => ({
  topicName,
  partition,
  errorCode: 0,
  ...(baseOffset !== undefined && { baseOffset }),
});
const asking = (...partitions: unknown[]) => partitions.map((partition) => ({ partition }));
const placed = (answers: unknown, sent: { partition: unknown }[]): readonly Place[] =>
  placesOf(topicsOf(answers).get("orders"), sent);

test("messages that went to one partition lie one behind the other", () => {
  expect(placed([answer(3, "41")], asking(undefined, undefined, undefined))).toEqual([
    { partition: 3, offset: 41 },
    { partition: 3, offset: 42 },
    { partition: 3, offset: 43 },
  ]);
});

test("messages that asked for their partitions are counted in each", () => {
  expect(placed([answer(1, "7"), answer(0, "20")], asking(0, 1, 0, 1))).toEqual([
    { partition: 0, offset: 20 },
    { partition: 1, offset: 7 },
    { partition: 0, offset: 21 },
    { partition: 1, offset: 8 },
  ]);
});

test("nothing is known of messages that a partitioner spread", () => {
  const two = [answer(0, "1"), answer(1, "1")];

  expect(placed(two, asking(undefined, undefined))).toEqual([]);
  expect(placed(two, asking(0, undefined))).toEqual([]);
});

test("nothing is known where a partitioner did not do what messages asked for", () => {
  const two = [answer(0, "1"), answer(1, "1")];

  expect(placed(two, asking(0, 0))).toEqual([]);
  expect(placed(two, asking(0, 2))).toEqual([]);
  expect(placed(two, asking(0, 1, 2))).toEqual([]);
  expect(placed(two, asking("0", "1"))).toEqual([]);
});

test("nothing is known where a partition answered twice", () => {
  expect(placed([answer(0, "1"), answer(0, "9")], asking(0, 0))).toEqual([]);
});

test("nothing is known without an acknowledgement", () => {
  expect(placed([], asking(0))).toEqual([]);
  expect(placed(undefined, asking(0))).toEqual([]);
  expect(placed([answer(0)], asking(0))).toEqual([]);
  expect(placed([answer(0, "-1")], asking(0))).toEqual([]);
  expect(placed([answer(0, "")], asking(0))).toEqual([]);
  expect(placed([{ ...answer(0, "1"), partition: "0" }], asking(0))).toEqual([]);
  expect(placed([null, 7, {}, answer(0, "1", "others")], asking(0))).toEqual([]);
});

test("brokers that answer with the offset of old, or with a bigint, are understood", () => {
  const sent = asking(undefined);

  expect(placed([{ topicName: "orders", partition: 0, offset: "5" }], sent)).toEqual([
    { partition: 0, offset: 5 },
  ]);
  expect(placed([{ topicName: "orders", partition: 0, baseOffset: 5n }], sent)).toEqual([
    { partition: 0, offset: 5 },
  ]);
});
