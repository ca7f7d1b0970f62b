/** What can be watched has the client's shape. */

export { type Observable, observable, type Source } from "@rostrum/client/internal";
