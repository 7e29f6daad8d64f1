// The same lines in WebAssembly: node sim/wasm/host.mjs MODULE FILE..., scenarios and traces.
import { readFileSync } from "node:fs";

const [module, ...files] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(module), {});
const { buffer, memory, replay, scenario } = instance.exports;

// The buffer is asked for before the memory: it moves, and memory that has grown is another ArrayBuffer.
const bytes = (length) => {
  const place = buffer(length);
  return new Uint8Array(memory.buffer, place, length);
};

for (const file of files) {
  const [name, contents] = [new TextEncoder().encode(file), readFileSync(file)];
  const input = bytes(name.length + contents.length);
  input.set(name);
  input.set(contents, name.length);
  const run = file.endsWith(".ron") ? scenario : replay;
  process.stdout.write(bytes(run(name.length)));
}
