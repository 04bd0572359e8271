// Written by integration/src/golden/main.ts (npm run golden). Do not edit by hand.

/** The headers that the peers were sent. */
export const SENDER = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "vendor=t61rcWkgMzE",
  baggage: "tenant=acme,note=%C3%A9%2C%20100%25%3B%3D%C3%BC",
};

/** The headers that the peers wrote. */
export const RECORDED = [
  {
    peer: "python",
    library: "opentelemetry-instrumentation-grpc, aio client",
    transport: "grpc",
    continues: true,
    headers: {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-8f7372bda4aefd36-01",
      tracestate: "vendor=t61rcWkgMzE",
      baggage:
        "tenant=acme,note=%C3%A9%2C+100%25%3B%3D%C3%BC,jeeves.request.id=bca2d36f-4a89-4948-bea7-bf17b6012632,jeeves.session.id=session-1",
    },
  },
  {
    peer: "go",
    library: "kotel",
    transport: "kafka",
    continues: true,
    headers: {
      tracestate: "vendor=t61rcWkgMzE",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-155359acdeedf9c9-01",
      baggage: "tenant=acme,note=%C3%A9%2C%20100%25%3B=%C3%BC",
    },
  },
  {
    peer: "python",
    library: "opentelemetry-instrumentation-aiokafka",
    transport: "kafka",
    continues: true,
    headers: {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-85a5d74fc817b464-01",
      tracestate: "vendor=t61rcWkgMzE",
      baggage: "tenant=acme,note=%C3%A9%2C+100%25%3B%3D%C3%BC",
    },
  },
  {
    peer: "java",
    library: "OpenTelemetry Java agent, kafka-clients",
    transport: "kafka",
    continues: true,
    headers: {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-96b53b6d295dceab-01",
      tracestate: "vendor=t61rcWkgMzE",
      baggage: "note=%C3%A9%2C%20100%25%3B%3D%C3%BC,tenant=acme",
    },
  },
  {
    peer: "python",
    library: "opentelemetry-instrumentation-aiohttp-client",
    transport: "http",
    continues: true,
    headers: {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-ea11b4e290b97443-01",
    },
  },
  {
    peer: "python",
    library: "opentelemetry-instrumentation-grpc, aio client",
    transport: "grpc",
    continues: false,
    headers: {
      traceparent: "00-354135410b78504355841d78028e7e17-b994e57683222240-03",
      baggage: "jeeves.request.id=310b9b55-8429-4799-a3fd-0542269fff9b,jeeves.session.id=session-1",
    },
  },
  {
    peer: "go",
    library: "kotel",
    transport: "kafka",
    continues: false,
    headers: {
      traceparent: "00-1e61567fc9c45e42779375f959e55be8-163a766af09407ea-01",
    },
  },
  {
    peer: "python",
    library: "opentelemetry-instrumentation-aiokafka",
    transport: "kafka",
    continues: false,
    headers: {
      traceparent: "00-098a732f4ea5bd7158ff6ec603e1ad9f-205db1f03f64c7cd-03",
    },
  },
  {
    peer: "java",
    library: "OpenTelemetry Java agent, kafka-clients",
    transport: "kafka",
    continues: false,
    headers: {
      traceparent: "00-28d623ca1a98ab5d0925fbef33b41b93-c3d09c0122f5145b-03",
    },
  },
  {
    peer: "python",
    library: "opentelemetry-instrumentation-aiohttp-client",
    transport: "http",
    continues: false,
    headers: {
      traceparent: "00-28eeb118efa360e434d53b4436ddfe74-959e3cd521225895-03",
    },
  },
] as const;
