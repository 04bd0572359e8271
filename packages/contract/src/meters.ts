import {
  type Attributes,
  createNoopMeter,
  type Meter,
  type MeterProvider,
} from "@opentelemetry/api";

/** A meter provider that only adds up counters, so that no metrics SDK is needed. */
export class Counts implements MeterProvider {
  readonly #added: { readonly name: string; readonly attributes: Attributes }[] = [];

  getMeter(): Meter {
    // A meter of its own on top of the API's: that one is shared by the whole process.
    const meter: Meter = Object.create(createNoopMeter());
    meter.createCounter = (name) => ({
      add: (value: number, attributes?: Attributes) => {
        for (let one = 0; one < value; one++) {
          this.#added.push({ name, attributes: attributes ?? {} });
        }
      },
    });
    return meter;
  }

  /** How often the counter was raised for this boundary, with these attributes among others. */
  of(name: string, boundary: string, attributes: Attributes = {}): number {
    const wanted = Object.entries({ ...attributes, boundary });
    return this.#added.filter(
      (one) => one.name === name && wanted.every(([key, value]) => one.attributes[key] === value),
    ).length;
  }

  /** Everything that was counted, for a failure message. */
  toString(): string {
    return this.#added
      .map(({ name, attributes }) => `${name}${JSON.stringify(attributes)}`)
      .join(" ");
  }
}
