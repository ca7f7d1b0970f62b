export { type Clocks, readFacts, type UpdateFacts } from "./facts.ts";
