/** What a member's page says to the stage that it stands on, and hears from it. */

export const onStage = (compare?: (on: boolean) => void): void => {
  if (parent === window) return;
  addEventListener("message", ({ data, source }: MessageEvent<unknown>) => {
    if (source !== parent || typeof data !== "object" || data === null || !("compare" in data)) return;
    compare?.(data.compare === true);
  });
  parent.postMessage({ ready: true }, "*");
  // The stage makes room for all of it: nobody likes to scroll in two places.
  const main = document.querySelector("main");
  if (main !== null) new ResizeObserver(() => parent.postMessage({ height: main.offsetHeight }, "*")).observe(main);
};
