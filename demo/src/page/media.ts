/** This person's camera and microphone, as far as the browser gives them. */

export interface Media {
  readonly stream: MediaStream;
  /** What is missing, in words; empty if nothing is. */
  readonly lacks: string;
}

const small: MediaTrackConstraints = { width: { ideal: 320 }, height: { ideal: 240 }, frameRate: { ideal: 12 } };

/** Both, or the microphone alone, or the camera alone, or nothing: never an error. */
export const openMedia = async (): Promise<Media> => {
  if (!("mediaDevices" in navigator))
    return { stream: new MediaStream(), lacks: "This page has no camera and microphone" };
  const wishes: readonly (readonly [MediaStreamConstraints, string])[] = [
    [{ audio: true, video: small }, ""],
    [{ audio: true }, "There is no camera, or it was refused"],
    [{ video: small }, "There is no microphone, or it was refused: you can listen"],
  ];
  for (const [wish, lacks] of wishes) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wish);
      // Shut until the floor opens it.
      for (const track of stream.getAudioTracks()) track.enabled = false;
      return { stream, lacks };
    } catch {
      // The next, smaller wish.
    }
  }
  return {
    stream: new MediaStream(),
    lacks: "Camera and microphone are missing or were refused: you can listen and watch",
  };
};
