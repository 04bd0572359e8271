import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOW_TEST } from "../loopback.test-support.js";
import { hostAddress, memoize, peerAddress, targetAddress } from "./address.js";
import { callAttributes, isServerError, methodOf, statusName } from "./index.js";

describe("statuses", () => {
  test("have the names that grpc-js gives them", () => {
    const codes = Object.values(status).filter((value) => typeof value === "number");

    expect(codes.map(statusName)).toEqual(codes.map((code) => status[code]));
  });

  test("of a number that gRPC does not define are UNKNOWN", () => {
    expect([17, 99, -1, Number.NaN].map(statusName)).toEqual(Array(4).fill("UNKNOWN"));
  });

  test("are errors of a server only where they are not the client's fault", () => {
    const errors = Array.from({ length: 17 }, (_, code) => statusName(code)).filter(isServerError);

    expect(errors).toEqual([
      "UNKNOWN",
      "DEADLINE_EXCEEDED",
      "UNIMPLEMENTED",
      "INTERNAL",
      "UNAVAILABLE",
      "DATA_LOSS",
    ]);
  });
});

test("a method is its path without the slash", () => {
  expect(methodOf("/shop.v1.Orders/Place")).toBe("shop.v1.Orders/Place");
  expect(methodOf("Place")).toBe("Place");
});

test("a socket's path has no port", () => {
  const socket = { address: "/run/orders.sock", port: undefined };

  expect(callAttributes("shop.v1.Orders/Place", socket, socket)).toStrictEqual({
    "rpc.system.name": "grpc",
    "rpc.method": "shop.v1.Orders/Place",
    "server.address": "/run/orders.sock",
    "network.peer.address": "/run/orders.sock",
  });
});

describe("the address of a channel's target", () => {
  test.each([
    ["dns:orders:50051", "orders", 50051],
    ["dns:orders", "orders", undefined],
    ["dns:///orders:50051", "orders", 50051],
    ["dns:/orders:50051", "orders", 50051],
    ["dns://8.8.8.8/orders:443", "orders", 443],
    ["dns:[::1]:50051", "::1", 50051],
    ["dns:[::1]", "::1", undefined],
    ["ipv4:127.0.0.1:50051", "127.0.0.1", 50051],
    ["ipv6:[::1]:50051", "::1", 50051],
    ["ipv4:10.0.0.1:1,10.0.0.2:1", "ipv4:10.0.0.1:1,10.0.0.2:1", undefined],
    ["unix:/run/orders.sock", "/run/orders.sock", undefined],
    ["unix:///run/orders.sock", "/run/orders.sock", undefined],
    ["unix:orders.sock", "orders.sock", undefined],
    ["xds:///orders", "xds:///orders", undefined],
    ["unix:/run/two\nlines.sock", "/run/two\nlines.sock", undefined],
    ["ipv6:fe80::1", "fe80::1", undefined],
    ["dns:orders:65536", "orders", undefined],
    ["dns:orders:123456", "orders:123456", undefined],
    ["", "", undefined],
  ])("%s is %s, port %s", (target, address, port) => {
    expect(targetAddress(target)).toEqual({ address, port });
  });
});

describe("the address of a peer", () => {
  test.each([
    ["10.0.0.7:40312", { address: "10.0.0.7", port: 40312 }],
    ["[::1]:40312", { address: "::1", port: 40312 }],
    ["::ffff:10.0.0.7:40312", { address: "::ffff:10.0.0.7", port: 40312 }],
    ["/run/orders.sock", { address: "/run/orders.sock", port: undefined }],
    ["10.0.0.7:65536", undefined],
    ["unknown", undefined],
    ["dns:orders:50051", undefined],
    ["orders:50051", undefined],
    ["", undefined],
  ])("%s is parsed", (peer, address) => {
    expect(peerAddress(peer)).toEqual(address);
  });
});

test("any host and port are parsed as they were written", SLOW_TEST, () => {
  const host = fc.oneof(
    fc.domain().map((name) => ({ name, written: name })),
    fc.ipV4().map((name) => ({ name, written: name })),
    fc.ipV6().map((name) => ({ name, written: `[${name}]` })),
  );
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), ({ name, written }, port) => {
      expect(hostAddress(`${written}:${port}`)).toEqual({ address: name, port });
      expect(targetAddress(`dns:///${written}:${port}`)).toEqual({ address: name, port });
    }),
  );
});

test("no text makes the parsing of an address throw or hang", SLOW_TEST, () => {
  const unit = fc.integer({ min: 0, max: 0x2fff }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 300 }), (text) => {
      targetAddress(text);
      hostAddress(text);
      peerAddress(text);
    }),
  );
});

describe("a memoized function", () => {
  test("parses each text once", () => {
    let parsed = 0;
    const parse = memoize((text) => `${text} ${++parsed}`);

    expect([parse("a"), parse("b"), parse("a")]).toEqual(["a 1", "b 2", "a 1"]);
  });

  test("forgets all texts at 500, and refuses one of more than 300 characters", () => {
    let parsed = 0;
    const parse = memoize(() => ++parsed);

    for (let number = 0; number < 500; number++) parse(`host-${number}`);

    expect(parse("host-0")).toBe(1);
    expect(parse("host-500")).toBe(501);
    expect(parse("host-0")).toBe(502);
    expect(parse("x".repeat(300))).toBe(503);
    expect(parse("x".repeat(301))).toBeUndefined();
  });
});
