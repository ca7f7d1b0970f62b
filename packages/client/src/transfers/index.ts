/** The part of the client that is loaded when there are bytes to carry. */

export { Porter } from "./porter.ts";
