#include "services/matching/domain/help_texts.h"

namespace handrail::matching {
namespace {

// By HelpText; each in the order of kHelpLanguages.
constexpr std::array<std::array<absl::string_view, kHelpLanguages.size()>, kHelpTextCount> kTexts =
    {{
        // kAsking
        {"You reached out, and that matters. We are asking people now; the first who can will "
         "answer you here. You do not have to wait for them: the lines below answer too.",
         "Has pedido ayuda, y eso importa. Estamos avisando a personas; la primera que pueda te "
         "responderá aquí. No tienes que esperar: las líneas de abajo "
         "también atienden.",
         "Tu as demandé de l'aide, et c'est important. Nous prévenons des personnes ; "
         "la première disponible te répondra ici. Tu n'as pas à attendre : les "
         "lignes ci-dessous répondent aussi."},
        // kNobody
        {"There is nobody here whom we can ask right now. We keep looking for half an hour and "
         "tell you. Please do not wait for that: the lines below can be reached.",
         "En este momento no hay nadie aquí a quien podamos avisar. Seguimos buscando "
         "durante media hora y te diremos algo. No esperes a eso: puedes usar las líneas de "
         "abajo.",
         "En ce moment, il n'y a personne ici que nous puissions prévenir. Nous continuons "
         "à chercher pendant une demi-heure et nous te tenons au courant. N'attends pas : "
         "les lignes ci-dessous sont joignables."},
        // kUnavailable
        {"Nobody could be reached through Handrail right now; this is a fault of ours, not yours. "
         "The lines below do not depend on us.",
         "Ahora mismo no hemos podido contactar con nadie a través de Handrail; el fallo es "
         "nuestro, no tuyo. Las líneas de abajo no dependen de nosotros.",
         "Nous n'avons pu joindre personne par Handrail pour l'instant ; la panne vient de nous, "
         "pas de toi. Les lignes ci-dessous ne dépendent pas de nous."},
        // kLimited
        {"You have called several times in the last hour, and we cannot ask more people for a "
         "while. The lines below have no such limit.",
         "Has llamado varias veces en la última hora y por un rato no podemos avisar a "
         "más personas. Las líneas de abajo no tienen ese límite.",
         "Tu as appelé plusieurs fois depuis une heure et nous ne pouvons pas prévenir "
         "d'autres personnes pour le moment. Les lignes ci-dessous n'ont pas cette limite."},
        // kConsentRequired
        {"To ask other people for you we need your consent, in your profile. The lines below need "
         "nothing from us.",
         "Para avisar a otras personas por ti necesitamos tu consentimiento, en tu perfil. Las "
         "líneas de abajo no necesitan nada de nosotros.",
         "Pour prévenir d'autres personnes, il nous faut ton consentement, dans ton profil. "
         "Les lignes ci-dessous n'ont besoin de rien de notre part."},
        // kSuspended
        {"Your account is paused, so we cannot ask anybody here. The lines below are there for "
         "everybody.",
         "Tu cuenta está en pausa, así que no podemos avisar a nadie aquí. Las "
         "líneas de abajo son para todo el mundo.",
         "Ton compte est en pause, nous ne pouvons donc prévenir personne ici. Les lignes "
         "ci-dessous sont là pour tout le monde."},
        // kStageSponsors
        {"We are asking the people you are paired with.",
         "Estamos avisando a las personas con las que ya tienes un vínculo.",
         "Nous prévenons les personnes avec qui tu es en lien."},
        // kStageBackups
        {"We are asking the people you named, too.",
         "Estamos avisando también a las personas que indicaste.",
         "Nous prévenons aussi les personnes que tu as indiquées."},
        // kStageOnCall
        {"We are asking members who are on call, too.",
         "Estamos avisando también a miembros que están disponibles ahora.",
         "Nous prévenons aussi des membres disponibles maintenant."},
        // kAnswered
        {"Somebody has answered. You can talk with them here.",
         "Alguien ha respondido. Puedes hablar con esa persona aquí.",
         "Quelqu'un a répondu. Tu peux lui parler ici."},
        // kCancelled
        {"This call is closed. You can call again whenever you want to.",
         "Esta llamada está cerrada. Puedes volver a llamar cuando quieras.",
         "Cet appel est clos. Tu peux appeler de nouveau quand tu veux."},
        // kUnanswered
        {"Nobody here could answer in time. That says nothing about you. You can call again, and "
         "the lines below can be reached now.",
         "Nadie aquí ha podido responder a tiempo. Eso no dice nada de ti. Puedes volver a "
         "llamar, y las líneas de abajo atienden ahora.",
         "Personne ici n'a pu répondre à temps. Cela ne dit rien de toi. Tu peux "
         "appeler de nouveau, et les lignes ci-dessous sont joignables maintenant."},
        // kAskOpen
        {"Somebody would like to talk now. If you can be there, answer; if not, pass, and others "
         "are asked. You owe no reason.",
         "Alguien quiere hablar ahora. Si puedes, responde; si no, pasa y se avisará a otras "
         "personas. No tienes que dar ningún motivo.",
         "Quelqu'un voudrait parler maintenant. Si tu peux, réponds ; sinon, passe, et "
         "d'autres sont prévenus. Tu n'as pas à donner de raison."},
        // kAskAnswered
        {"You answered first. Thank you. If there is danger, point to the emergency number; you "
         "are a peer, not a service.",
         "Has respondido primero. Gracias. Si hay peligro, indica el número de emergencias; "
         "eres un igual, no un servicio.",
         "Tu as répondu en premier. Merci. En cas de danger, oriente vers le numéro "
         "d'urgence ; tu es un pair, pas un service."},
        // kAskTakenCareOf
        {"This is taken care of: somebody else was a moment earlier. Thank you for being there.",
         "Ya está atendido: otra persona llegó un momento antes. Gracias por estar "
         "ahí.",
         "C'est pris en charge : quelqu'un d'autre a répondu juste avant. Merci d'être "
         "là."},
        // kAskPassed
        {"You passed, and that is all right. Others are asked.",
         "Has pasado, y está bien. Se avisa a otras personas.",
         "Tu as passé, et c'est très bien ainsi. D'autres sont prévenus."},
        // kAskOver
        {"This call is over. There is nothing left for you to do.",
         "Esta llamada ha terminado. No te queda nada por hacer.",
         "Cet appel est terminé. Tu n'as plus rien à faire."},
        // kLines
        {"If you or somebody else is in danger now, call the emergency number first. Handrail is "
         "not an emergency service, and those who answer here are peers. We do not run these "
         "lines; call them any time, for yourself or for somebody else.",
         "Si tú u otra persona estáis en peligro ahora, llama primero al "
         "número de emergencias. Handrail no es un servicio de emergencias, y quienes "
         "responden aquí son iguales. Estas líneas no son nuestras; úsalas "
         "cuando quieras, para ti o para otra persona.",
         "Si toi ou quelqu'un d'autre êtes en danger maintenant, appelle d'abord le "
         "numéro d'urgence. Handrail n'est pas un service d'urgence, et ceux qui "
         "répondent ici sont des pairs. Ces lignes ne sont pas les nôtres ; appelle-les "
         "à tout moment, pour toi ou pour quelqu'un d'autre."},
        // kLinesEverywhere
        {"If you or somebody else is in danger now, call the emergency number of the place you are "
         "in; anybody near you can do it for you. Handrail is not an emergency service. We have no "
         "lines for this place: tell us your country, or look in the lists below. A doctor, a "
         "hospital or a meeting near you can help too.",
         "Si tú u otra persona estáis en peligro ahora, llama al número de "
         "emergencias del lugar donde estás; cualquiera cerca de ti puede hacerlo por ti. "
         "Handrail no es un servicio de emergencias. No tenemos líneas para este lugar: "
         "dinos tu país o mira las listas de abajo. También pueden ayudarte un "
         "médico, un hospital o una reunión cercana.",
         "Si toi ou quelqu'un d'autre êtes en danger maintenant, appelle le numéro "
         "d'urgence de l'endroit où tu es ; quelqu'un près de toi peut le faire pour "
         "toi. Handrail n'est pas un service d'urgence. Nous n'avons pas de lignes pour cet "
         "endroit : indique ton pays, ou regarde les listes ci-dessous. Un médecin, un "
         "hôpital ou une réunion proche peuvent aussi aider."},
    }};

constexpr bool IsWhole() {
  for (const auto& row : kTexts) {
    for (const absl::string_view text : row) {
      if (text.empty()) return false;
    }
  }
  return true;
}
static_assert(IsWhole(), "a text is missing in one of the languages");
static_assert(static_cast<int>(HelpText::kLinesEverywhere) + 1 == kHelpTextCount);

}  // namespace

absl::string_view HelpLanguageOf(absl::string_view tag) {
  const Language wanted = Language::FromTag(tag);
  for (const absl::string_view language : kHelpLanguages) {
    if (wanted == Language::FromTag(language)) return language;
  }
  return kHelpLanguages.front();
}

absl::string_view TextOf(HelpText text, absl::string_view language) {
  const auto& row = kTexts[static_cast<size_t>(text)];
  for (size_t i = 0; i < kHelpLanguages.size(); ++i) {
    if (kHelpLanguages[i] == language) return row[i];
  }
  return row.front();
}

HelpText TextFor(ReachOutcome outcome) {
  switch (outcome) {
    case ReachOutcome::kAsking: return HelpText::kAsking;
    case ReachOutcome::kNobody: return HelpText::kNobody;
    case ReachOutcome::kLimited: return HelpText::kLimited;
    case ReachOutcome::kConsentRequired: return HelpText::kConsentRequired;
    case ReachOutcome::kSuspended: return HelpText::kSuspended;
    default: return HelpText::kUnavailable;
  }
}

HelpText TextFor(const HelpCall& call) {
  switch (call.state) {
    case HelpState::kAnswered: return HelpText::kAnswered;
    case HelpState::kCancelled: return HelpText::kCancelled;
    case HelpState::kUnanswered: return HelpText::kUnanswered;
    default: break;
  }
  if (call.asked == 0) return HelpText::kNobody;
  switch (call.stage) {
    case HelpStage::kSponsors: return HelpText::kStageSponsors;
    case HelpStage::kBackups: return HelpText::kStageBackups;
    default: return HelpText::kStageOnCall;
  }
}

HelpText TextFor(HelpAskState state) {
  switch (state) {
    case HelpAskState::kOpen: return HelpText::kAskOpen;
    case HelpAskState::kAnswered: return HelpText::kAskAnswered;
    case HelpAskState::kTakenCareOf: return HelpText::kAskTakenCareOf;
    case HelpAskState::kPassed: return HelpText::kAskPassed;
    default: return HelpText::kAskOver;
  }
}

}  // namespace handrail::matching
