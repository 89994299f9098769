// The microphone: asked for when somebody presses the button, and never before.

// Returns why this page cannot have a microphone at all; null if it may ask for one.
export function whyNoMicrophone() {
  if (!window.isSecureContext) {
    return "The browser gives a microphone only to pages over https or from this machine. Type your question.";
  }
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    return "This browser cannot record. Type your question.";
  }
  return null;
}

const REASONS = {
  NotAllowedError: "The browser was not allowed to use the microphone. Allow it, or type your question.",
  NotFoundError: "There is no microphone. Plug one in, or type your question.",
  NotReadableError: "Another program uses the microphone. Close it, or type your question.",
};

export class Microphone {
  // Asks for the microphone, and gives frames of 20 ms (Int16Array, 16 kHz). Throws an Error whose
  // message says why there is none.
  static async open(giveFrame, ended) {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The microphone does not work (${error.name}). Type your question.`);
    }
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule("capture.js");
    } catch {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      throw new Error("The microphone does not work in this browser. Type your question.");
    }
    return new Microphone(stream, context, giveFrame, ended);
  }

  constructor(stream, context, giveFrame, ended) {
    this.stream = stream;
    this.context = context;
    this.node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = (message) => giveFrame(message.data);
    context.createMediaStreamSource(stream).connect(this.node);
    context.resume();
    // A device that is unplugged ends its track.
    for (const track of stream.getTracks()) track.onended = ended;
  }

  close() {
    this.node.port.onmessage = null;
    for (const track of this.stream.getTracks()) track.stop();
    if (this.context.state !== "closed") this.context.close();
  }
}
