import type { Verb } from './command_line.ts';

export const HELP = `handrail-chat: talk with those that Handrail has brought you together with.

What you write is encrypted on this device and decrypted on theirs; the server cannot read it.

  handrail-chat new                    make a device of somebody new, here
  handrail-chat join                   make another device of yours, here
  handrail-chat add-device CODE        add the device that shows this code
  handrail-chat devices [CONVERSATION]  your devices, or those of all who talk there
  handrail-chat remove-device DEVICE   remove one, for good (it was lost, say)
  handrail-chat whoami                 which device this is

  handrail-chat group                  begin a conversation of several people
  handrail-chat invite [CONVERSATION]  let one more person in  (--list, --revoke INVITATION)
  handrail-chat accept                 come in, by the invitation on standard input

  handrail-chat conversations          with whom you can talk
  handrail-chat talk [CONVERSATION]    talk: what you type is sent, what comes is shown
  handrail-chat send [CONVERSATION]    send what is on standard input  (--file PATH)
  handrail-chat read [CONVERSATION]    show what is new  (--follow, --all)
  handrail-chat save FILE              save a file that came with a message
  handrail-chat verify [CONVERSATION]  the number to compare, so that you know it is them
  handrail-chat leave [CONVERSATION]   take part in it no more, for good
  handrail-chat report [CONVERSATION]  show messages of theirs to those who look after cases
  handrail-chat export [CONVERSATION]  all that is kept here of it

CONVERSATION may be left away when there is only one that is open; else its name or the first four
letters of it. More about each: handrail-chat talk --help

Nothing you sent is lost, whatever stops: it is kept on this device until the server has it, and
goes out once. Press Ctrl-C whenever you like.

To find somebody to talk to, use the command handrail (person new, match request, offers accept);
then put this device beside it:
  handrail-chat join                   shows a code
  handrail person add-device NAME CODE

Options of every command:
  --state FOLDER          the folder of this device; one folder is one device
                          (HANDRAIL_CHAT_STATE; default: ~/.local/state/handrail-chat)
  --data FOLDER           the data folder of a "handrail up" on this machine (HANDRAIL_DATA)
  --server URL            or: where the server is, https://… (HANDRAIL_SERVER); --ca FILE for a
                          certificate of your own. Either is needed once; it is remembered.
  --passphrase-file FILE  its first line is the passphrase (HANDRAIL_PASSPHRASE_FILE); or the
                          variable HANDRAIL_PASSPHRASE. Else you are asked. Never an argument.
  --wait SECONDS          how long to try when the server does not answer (30; join: 600)
  --json                  for scripts: one JSON object a line; see: handrail-chat help read

Exit status:
  0    done                                  4    the state of this device cannot be opened
  1    refused, or failed for good           5    the server does not know this device any more
  2    wrong usage                           6    another program took over as this device
  3    not now; what you wrote is kept,      130  stopped by Ctrl-C
       the same command may work later

In danger now? Call your local emergency number first. "handrail help-lines US" shows crisis
lines.`;

const JSON_LINES = `With --json each line is an object; "event" says what it is. Those of a
conversation have "conversation", "time" (UTC) and "number" (this device's own count, from 1):
  message     "sender", "device", "from" (you, they, …), "text", "message" (its id), "sequence",
              "files" (each with "id", "name", "size" in bytes, "media_type")
  sent        what this device said, at its place: "text", "message", "sequence", "files"
  refused     what will never be sent: "text", "message", "reason", "files"
  unreadable  "sequence", "sender", "reason"
  gap         never came here: "first" to "last"
  devices     who can read has changed: "standing" (in, removed, lost), "begun", "added", "removed",
              "count", "verification", "compared" (never, same-devices, other-devices)
  member-devices     somebody's devices are others: "member", "since", "added", "removed"
  device-log-broken  what the server says of somebody's devices was changed: "member", "fault"
              (shortened, rewritten, other-key, malformed)
  conversation  "state" (open, closed)
Beside them: kept, connection, waiting, progress, problem, nothing-new; and at the end, where
something was wrong, error: "reason", "message", "todo", "exit". Ignore events that you do not
know.`;

export const HELP_ABOUT: Readonly<Record<Verb, string>> = {
  new: `handrail-chat new: makes this device, of somebody new.

Asks for a passphrase that seals all that is kept in the folder. Say where the server is with --data
or --server. Again on the same folder: goes on where it stopped, and says who it is.
JSON: ready ("device", "member", "state").`,

  join: `handrail-chat join: makes this device, of somebody who has one already.

Shows a code that is good for a minute, and a new one before that; give it to
"handrail-chat add-device" on the other device, or to "handrail person add-device". Waits ten
minutes (--wait SECONDS). Then compare the person that both show.
JSON: code ("code", "seconds"), again and again; then ready ("device", "member", "state").`,

  'add-device': `handrail-chat add-device CODE: makes the device that shows this code one of yours.

It can do all that you can do, and read what is said from when it is let into a conversation; that
happens by itself. The others in your conversations are told. Do it only for a code that you have
just taken from a device in your own hand.
JSON: added ("device", "member").`,

  'remove-device': `handrail-chat remove-device DEVICE: removes a device of yours, for good.

DEVICE is its name, or the first four letters or more. The server gives it nothing from then on, and
the keys of your conversations change. What it has read before is still on it. --yes removes this
very device.
JSON: removed ("device").`,

  devices: `handrail-chat devices [CONVERSATION]: your devices, oldest first.

With a conversation: the devices of all who talk there, as their device logs have them. Whatever
came to a log stays there; when one was changed, you are told.
JSON: device ("device", "this_device", "since", "removed"; with a conversation also "member",
"owner", "public_key"), a line each; device-log-broken ("member", "fault").`,

  whoami: `handrail-chat whoami: which device this folder is, and whose. Asks no server.

JSON: whoami ("device", "member", "state").`,

  conversations: `handrail-chat conversations: with whom you can talk, newest first.

JSON: conversation ("conversation", "state", "members", "head_sequence", "readable", "devices",
"unread"), a line each.`,

  group: `handrail-chat group: begins a conversation of up to eight people, a home group say.

You are alone in it until somebody accepts an invitation of yours: handrail-chat invite. What you
say before waits on this device for them.
JSON: group ("conversation").`,

  invite: `handrail-chat invite [CONVERSATION]: keeps a place for one more person.

Shows an invitation for one person, good for seven days and for one time. Send it to them in a
conversation that you have with them here, or show it to them; whoever has it can come in. It is
kept nowhere, so take it now. They read what is said from when one of your devices lets theirs in,
nothing of before.
  --list                 show the places that are kept, without what lets somebody in
  --revoke INVITATION    nobody comes by this one any more
JSON: invitation ("conversation", "invitation", "inviter", "expires", "code"; with --list no code),
a line each; revoked ("invitation").`,

  accept: `handrail-chat accept: comes into the conversation of an invitation.

The invitation comes on standard input, so that it stays out of the shell's history:
  handrail-chat accept          and then paste it, Enter
Those who are in it already see that you came; their devices let yours in by themselves.
JSON: accepted ("conversation").`,

  talk: `handrail-chat talk [CONVERSATION]: talk.

What you type is sent when you press Enter. "delivered to the server" means that it is there for
all of their devices; until then it is kept here. When the connection is lost you are told, and it
comes back by itself. You are told too when a device can read that could not before, or no longer.
/verify shows the number to compare, /devices who can read, /file PATH sends a file, /quit ends.

Where standard input is no terminal, each line is sent, and it ends when all have been delivered.
  --check SECONDS   how often to look whether devices came or went (20)

${JSON_LINES}`,

  send: `handrail-chat send [CONVERSATION]: sends what is on standard input, as one message.

A message is no argument, so that it stays out of the shell's history and of the list of processes:
  handrail-chat send            and then type, Ctrl-D at the beginning of a line sends
  fortune | handrail-chat send
Ends when the server has it. If the server does not answer for --wait seconds it ends with 3, and
the message stays on this device: it goes out when send, read or talk runs here next. Do not say it
again.
  --lines   each line is a message
  --id ID   32 hexadecimal digits that you chose for this message, or these lines: run the same
            again, after a crash say, and what was said before is not said twice
  --file PATH   a file that goes with the message, at most 10 MB; up to eight times. The message may
            then be empty: handrail-chat send --file photo.jpg < /dev/null
A file is encrypted here, and so are its name and its kind; the server sees how large it is and when
it is fetched, and keeps it for 30 days. The message is said when all of its files are there. Run
again with the same --id within a day, an upload goes on where it stopped.
JSON: kept ("message", "line"), sent ("message", "line", "sequence"), refused, done ("messages");
progress ("way", "name", "bytes", "size"), uploaded ("message", "file").`,

  save: `handrail-chat save [CONVERSATION] FILE: saves a file that came with a message.

FILE is the beginning of its id, four letters or more, or its name when no other file has it; both
are what "handrail-chat read --all" shows. It is saved in this folder under its name, for you alone
to read (mode 0600), when all of it has come and is what was sent. Until then there is a file named
.handrail-….part; run the same again to go on after it was stopped.
  --to PATH   another folder, or another name
  --force     in the place of a file that is there
Name and contents are the sender's: open it as carefully as anything from somebody else. The server
keeps a file for 30 days, or until the conversation ends: save what should stay.
JSON: progress ("way", "name", "bytes", "size"), saved ("path", "file").`,

  read: `handrail-chat read [CONVERSATION]: shows what is new, of all where none is named.

  --follow, -f      stay, and show what comes, until Ctrl-C
  --all             from the beginning of what is kept here: 10,000 lines of each conversation
  --check SECONDS   with --follow: how often to look whether devices came or went (20)
Without a connection it shows what is here, and ends with 3.

${JSON_LINES}`,

  verify: `handrail-chat verify [CONVERSATION]: shows 30 digits.

Read them to each other face to face or on the phone. If both see the same, nobody stands between
you, not even those who run the server. Note that you did with --compared; from then on you are told
when other devices can read than on that day.
JSON: verification ("conversation", "verification", "epoch", "devices", "compared").`,

  leave: `handrail-chat leave [CONVERSATION]: takes part in a conversation no more, for good.

You need nobody's consent and no reason, and nobody is asked for one. With --yes:
- From the answer on nothing is delivered to any device of yours there, read or not, and nothing is
  taken from them. What you wrote and the server does not have yet is not sent.
- The others see that you left. What you said before stays with them.
- A conversation of two, which came with a pairing, ends for both, and nobody can open it again. The
  pairing itself goes on until one of you ends it: handrail pairing end. That ends the conversation
  too.
- A group goes on without you. You come back by a new invitation alone; yours are over.
What was said stays on this device, to read, to export and to report; save files before you leave:
handrail-chat save. Without --yes it says what it would do, and does nothing (exit status 2).
  --yes   that is what you want; scripts need it, too
JSON: left ("conversation", "not_sent": how many messages).`,

  report: `handrail-chat report [CONVERSATION]: shows messages to those who look after cases.

Without --message it lists what can be reported from this device, the newest 500 messages of others,
and tells nobody. With it, it hands these messages over, and nothing else of what was said:
  --message NUMBER  its number in the conversation, as the list shows it; up to 32 times
  --reason REASON   sexual, financial, harassment, stalking, discrimination, medical-advice,
                    offering-substances, impersonation, minor, self-harm-concern or other
  --note            a few words of yours, on standard input: they stay out of the shell's history
  --id ID           32 hexadecimal digits: run the same again, and it is still one report
With a message goes what opens its files, not the files: the server keeps those for 30 days, or
until the conversation ends. Save what should stay, with "handrail-chat save".
The server has not read what was said; it can check that you change nothing of it. Whom it is about
is not told that you reported. It works when the conversation is over, too.
JSON: reportable ("conversation", "sequence", "message", "sender", "from", "time", "text", "files"),
where "sequence" is what --message wants; reported ("conversation", "report", "messages").`,

  export: `handrail-chat export [CONVERSATION]: writes out all that is kept here of it.

To standard output, or to a new file that only you can read with --to FILE. It is not encrypted any
more then. Of files it holds name, size and id; save them with "handrail-chat save", in 30 days.
Asks no server. With --json as in "handrail-chat help read", after a first line export.`,
};
