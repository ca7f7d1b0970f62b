/** What can be watched has the client's shape. */

import type { Observable } from "@rostrum/client/internal";

export { type Observable, observable, type Source } from "@rostrum/client/internal";

/** The same, for those who only look. */
export const watched = <T>({ get, subscribe }: Observable<T>): Observable<T> => ({ get, subscribe });
