"""What a run's own report found, in French; English has it as it stands in that report.

Each key is a kind of `voicebench.judging.noise.Noise` or `voicebench.judging.advice.Advice`; the
places are the figures of the advice.
"""

from __future__ import annotations

from voicebench.judging import gate_advice as gates

AS_FOUND = "{finding}; {remedy}"

FOUND: dict[str, str] = {
    "noise": "la machine a perturbé les chiffres ; mesurer à nouveau",
    "noise.instrument": (
        "l’erreur propre de l’instrument est trop grande ; arrêter ce qui tourne à côté, ou mesurer"
        " sur une machine avec plus de cœurs"
    ),
    "noise.other processes": (
        "d’autres processus occupaient les cœurs ; les arrêter, ou mesurer sur une machine réservée"
    ),
    "noise.CPU quota": (
        "le quota du conteneur a retenu la mesure ; le relever, ou régler run.threads sur les cœurs"
        " permis"
    ),
    "noise.thermal throttling": (
        "le processeur s’est bridé à cause de la chaleur ; le laisser refroidir, ou régler "
        "run.pause_s"
    ),
    "noise.shared GPU": (
        "un autre processus calculait sur le GPU ; l’arrêter, ou choisir un autre appareil"
    ),
    "noise.drift": (
        "le premier son a dérivé au cours de la mesure ; chercher chaleur ou autre charge, ou "
        "préchauffer davantage"
    ),
    "noise.outliers": (
        "le premier son s’écarte beaucoup dans quelques tours ; ils sont gardés, à regarder un à un"
    ),
    "noise.clock changes": "la fréquence du processeur a varié ; fixer son gouverneur",
    "noise.garbage collection": (
        "le ramasse-miettes de Python a pris une part de quelques tours ; ils sont gardés"
    ),
    "advice": "un autre conseil se trouve dans le rapport de la mesure",
    "advice.failed turns": (
        "{failed} tours sur {turns} ont échoué ({at_stage}) : « {reason} » ; les événements de "
        "chacun sont dans turns.jsonl"
    ),
    "advice.failed turns.one": (
        "{failed} tour sur {turns} a échoué ({at_stage}) : « {reason} » ; ses événements sont dans "
        "turns.jsonl"
    ),
    "advice.missed gate": "{gate} : mesuré {seen_figure} ; {remedy}",
    "advice.not measured": (
        "cette cible ne montre pas {metrics}, et ce qui n’est pas mesuré ne réussit pas ; retirer "
        "ces seuils"
    ),
    "advice.too few runs": (
        "{values} valeurs ne portent pas le {percentile} de {metrics} : la plus grande est jugée ; "
        "mesurer plus de tours : --runs {runs}"
    ),
    "advice.too few runs.one": (
        "{values} valeur ne porte pas le {percentile} de {metrics} : elle est jugée ; mesurer plus "
        "de tours : --runs {runs}"
    ),
    "advice.slow first token": (
        "le premier mot prend {took_ms} des {whole_ms} jusqu’au premier son ({of_share}) ; prendre "
        "un modèle de langue plus petit, une consigne plus courte ou un appareil plus rapide"
    ),
    "advice.slow voice": (
        "la voix prend {took_ms} des {whole_ms} jusqu’au premier son ({of_share}) ; prendre une "
        "voix plus légère, un premier segment plus court ou un appareil plus rapide"
    ),
    "advice.waits for the reply": (
        "l’attente du premier segment prend {took_ms} des {whole_ms} jusqu’au premier son "
        "({of_share}), car la voix ne commence qu’après la réponse entière ; laisser les deux se "
        "recouvrir : --overlap"
    ),
    "advice.waits for the chunk": (
        "l’attente du premier segment prend {took_ms} des {whole_ms} jusqu’au premier son "
        "({of_share}) ; fermer plus tôt le premier segment (chunker.first_words), ou écrire plus "
        "vite"
    ),
    "advice.stalls": (
        "{stalled} tours sur {turns} se coupent pendant la lecture, de {worst_ms} au pire ; donner "
        "plus de mots au premier segment (chunker.first_words), ou lire {later_ms} plus tard"
    ),
    "advice.stalls.one": (
        "{stalled} tour sur {turns} se coupe pendant la lecture, de {worst_ms} ; donner plus de "
        "mots au premier segment (chunker.first_words), ou lire {later_ms} plus tard"
    ),
    "advice.slow synthesis": (
        "{stalled} tours sur {turns} se coupent pendant la lecture, de {worst_ms} au pire, car la "
        "voix est synthétisée à {speed_x} le temps réel ; prendre une voix plus légère ou un "
        "appareil plus rapide"
    ),
    "advice.slow synthesis.one": (
        "{stalled} tour sur {turns} se coupe pendant la lecture, de {worst_ms}, car la voix est "
        "synthétisée à {speed_x} le temps réel ; prendre une voix plus légère ou un appareil plus "
        "rapide"
    ),
    "advice.short warm-up": (
        "les {turns} premiers tours mesurés prennent {first_ms} jusqu’au premier son, les suivants "
        "{later_ms} ; préchauffer davantage : --warmup {warmup}"
    ),
    "advice.connects in the turn": (
        "{waiting} tours sur {turns} ont attendu une nouvelle connexion, {wait_ms} par tour "
        "(médiane) ; laisser le serveur garder ses connexions ouvertes"
    ),
    "advice.connects in the turn.one": (
        "{waiting} tour sur {turns} a attendu une nouvelle connexion, {wait_ms} ; laisser le "
        "serveur garder ses connexions ouvertes"
    ),
    "advice.busy machine": (
        "la machine était occupée au départ : charge {load} sur {cores} cœurs ; fermer les autres "
        "programmes et mesurer à nouveau"
    ),
    "advice.spread": (
        "le premier son varie beaucoup : p95 {p95_ms}, soit {factor_x} le p50 de {p50_ms} ; la "
        "table des essais montre quelle étape varie"
    ),
    "advice.cold turn": (
        "le tour à froid a pris {took_ms} jusqu’au premier son, {factor_x} la médiane de "
        "{typical_ms} ; préchauffer un produit avant son premier utilisateur"
    ),
    "advice.idle turn": (
        "le premier tour après un silence a pris {took_ms} jusqu’au premier son, {factor_x} la "
        "médiane de {typical_ms} ; préchauffer un produit avant son premier utilisateur"
    ),
    "advice.remark": (
        "la réponse ou son flux a une particularité qui compte pour lire ces chiffres ; le rapport "
        "de la mesure (voicebench report) la nomme"
    ),
    "advice.slow computing": (
        "un moteur calcule plus lentement que cette machine ne le permet ; le rapport de la mesure "
        "(voicebench report) dit pourquoi, et ce qui aide"
    ),
    "advice.silence": (
        "le son commence par {silence_ms} de silence (médiane), que le premier son ne montre pas ; "
        "le couper, ou prendre une voix qui n’en a pas"
    ),
}

REMEDIES: dict[str, str] = {
    gates.FEWER_WORDS: "demander des réponses plus courtes : une consigne qui le dit, "
    "llm.end_after_words ou llm.max_tokens",
    gates.FASTER_MODEL: "prendre un modèle de langue plus petit, une précision plus basse ou un "
    "appareil plus rapide",
    gates.SHORTER_PROMPT: "raccourcir la consigne, ou laisser le serveur la garder en mémoire ; "
    "sinon prendre un modèle de langue plus petit",
    gates.LIGHTER_VOICE: "prendre une voix plus légère ou un appareil plus rapide, ou lui donner "
    "un premier segment plus court",
    gates.SEE_THE_TABLES: "les tables du rapport montrent d’où cela vient",
    gates.LESS_SILENCE: "couper le silence avant l’envoi, ou prendre une voix qui n’en a pas",
    gates.EARLIER_CHUNK: "fermer plus tôt le premier segment : un chunker.first_words plus petit",
}
"""The remedies for a missed gate."""
NO_REMEDY = REMEDIES[gates.SEE_THE_TABLES]
