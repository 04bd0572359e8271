import { expect, test } from "vitest";
import { TracingModule, type TracingModuleOptions } from "./index.js";

test.each([
  [
    { ignore: 7 },
    'option "ignore" must be a path, a RegExp, a function, or a list of these, but is 7',
  ],
  [{ ignore: ["/health", null] }, 'option "ignore" must be'],
  [
    { responseHeader: "no header" },
    'option "responseHeader" must be the name of a header, or false',
  ],
  [{ responseHeader: true }, "but is true"],
  [{ relation: "parent" }, 'option "relation" must be'],
  [{ maxBytes: -1 }, 'option "maxBytes" must be'],
  [{ exceptions: "no" }, "option \"exceptions\" must be true or false, but is 'no'"],
  [{ tracerProvider: {} }, 'option "tracerProvider" must be'],
])("the wrong option %o is refused at set-up", (json, message) => {
  const options: TracingModuleOptions = JSON.parse(JSON.stringify(json));
  expect(() => TracingModule.forRoot(options)).toThrow(TypeError);
  expect(() => TracingModule.forRoot(options)).toThrow(message);
});
