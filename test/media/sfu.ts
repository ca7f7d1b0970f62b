/**
 * A small SFU on werift, a WebRTC stack in TypeScript: real ICE, DTLS and SRTP towards real browsers. Each participant has
 * one connection, on which it sends its microphone and receives each of the others on a line of its own. What somebody
 * sends who may not publish ends here, whatever the sender believes.
 */

import { MediaStreamTrack, RTCPeerConnection, RtpHeader, RtpPacket } from "werift";

export interface Joined {
  /** The SDP answer. */
  readonly answer: string;
  /** Which receiving line of the offer, from 1, carries this participant to the others. */
  readonly line: number;
  /** To be called when its connection to the app is gone. Does nothing to a later connection of the same user. */
  readonly leave: () => Promise<void>;
}

interface Participant {
  readonly line: number;
  readonly peer: RTCPeerConnection;
  /** What it receives, by the line of who is heard. */
  readonly ears: ReadonlyMap<number, MediaStreamTrack>;
  /** RTP packets of its microphone that have arrived. */
  arrived: number;
}

interface Room {
  readonly participants: Map<string, Participant>;
  /** Users, not connections: who joins again finds what was decided of it. Nobody is in it who was not put there. */
  readonly publishers: Set<string>;
}

/** On this machine only. */
const here = {
  iceServers: [],
  iceUseIpv4: false,
  iceUseIpv6: false,
  iceAdditionalHostAddresses: ["127.0.0.1"],
  iceInterfaceAddresses: { udp4: "127.0.0.1" },
};

export class Sfu {
  private readonly rooms = new Map<string, Room>();

  // ---- what a backend is offered ----

  async publishers(room: string): Promise<readonly string[]> {
    return [...this.room(room).publishers];
  }

  async permit(room: string, user: string): Promise<void> {
    this.room(room).publishers.add(user);
  }

  async withdraw(room: string, user: string): Promise<void> {
    this.room(room).publishers.delete(user);
  }

  /** RTP packets that have arrived from each participant, forwarded or not. */
  arrived(room: string): Readonly<Record<string, number>> {
    const { participants } = this.room(room);
    return Object.fromEntries([...participants].map(([user, { arrived }]) => [user, arrived]));
  }

  // ---- what a participant is offered ----

  /** The offer has one audio line that sends, and then as many that receive as the room has places. */
  async join(id: string, user: string, offer: string): Promise<Joined> {
    const room = this.room(id);
    await leave(room, user);
    const places = offer.split("m=audio ").length - 2;
    const taken = new Set([...room.participants.values()].map(({ line }) => line));
    const line = Array.from({ length: places }, (_, at) => at + 1).find((each) => !taken.has(each));
    if (line === undefined) throw new Error("The room is full.");
    const peer = new RTCPeerConnection(here);
    const microphone = peer.addTransceiver("audio", { direction: "recvonly" });
    const ears = new Map<number, MediaStreamTrack>();
    for (let each = 1; each <= places; each += 1) {
      const track = new MediaStreamTrack({ kind: "audio" });
      peer.addTransceiver(track, { direction: "sendonly" });
      ears.set(each, track);
    }
    const participant: Participant = { line, peer, ears, arrived: 0 };
    room.participants.set(user, participant);
    microphone.onTrack.subscribe((track) => {
      track.onReceiveRtp.subscribe((packet) => {
        participant.arrived += 1;
        if (room.publishers.has(user)) forward(room, participant, packet);
      });
    });
    await peer.setRemoteDescription({ type: "offer", sdp: offer });
    await peer.setLocalDescription(await peer.createAnswer());
    return { answer: peer.localDescription?.sdp ?? "", line, leave: () => leave(room, user, participant) };
  }

  async close(): Promise<void> {
    for (const room of this.rooms.values()) for (const user of room.participants.keys()) await leave(room, user);
  }

  private room(id: string): Room {
    const room = this.rooms.get(id) ?? { participants: new Map(), publishers: new Set() };
    this.rooms.set(id, room);
    return room;
  }
}

const leave = async ({ participants }: Room, user: string, only = participants.get(user)): Promise<void> => {
  if (participants.get(user) === only) participants.delete(user);
  await only?.peer.close();
};

const forward = ({ participants }: Room, from: Participant, { header, payload }: RtpPacket): void => {
  for (const to of participants.values()) {
    if (to === from) continue;
    // A header for each, because the sender writes into it; extensions are a connection's own.
    const own = new RtpHeader({ ...header, extension: false, extensions: [] });
    to.ears.get(from.line)?.writeRtp(new RtpPacket(own, payload));
  }
};
