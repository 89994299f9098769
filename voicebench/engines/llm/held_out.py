"""Turns on which the quality of fast arithmetic is judged.

They were written for this purpose and are used for nothing else: no kernel, precision or system
prompt was chosen by them.
"""

from __future__ import annotations

HELD_OUT_TURNS: tuple[tuple[str, str], ...] = (
    (
        "Why do leaves change colour in autumn?",
        "Leaves lose their green chlorophyll in autumn, and the yellow and orange colours that "
        "were always there become visible.",
    ),
    (
        "How long should I cook rice?",
        "Most white rice takes about fifteen to twenty minutes. Keep the lid on, and let it rest "
        "for five minutes before you serve it.",
    ),
    (
        "What is the tallest mountain in the world?",
        "The tallest mountain in the world is Mount Everest, which rises about 8,849 metres above "
        "the level of the sea.",
    ),
    (
        "Can you suggest something to do on a rainy day?",
        "You could read a good book, bake some bread, or invite a friend to watch a film with you.",
    ),
    (
        "How do bees make honey?",
        "Bees collect nectar from flowers and store it in the hive. They fan it with their wings "
        "until the water is gone and it becomes thick honey.",
    ),
    (
        "Who painted the Mona Lisa?",
        "The Mona Lisa was painted by Leonardo da Vinci in the early sixteenth century, and it "
        "hangs in the Louvre in Paris.",
    ),
    (
        "What should I pack for a weekend at the beach?",
        "Pack a swimsuit, a towel, sunscreen and a hat, and do not forget plenty of water.",
    ),
    (
        "How does a microwave heat food?",
        "A microwave oven sends out waves that make the water molecules in the food move quickly, "
        "and this movement turns into heat.",
    ),
    (
        "Is it better to exercise in the morning or in the evening?",
        "Both are fine. The best time to exercise is the time at which you will really do it every "
        "day.",
    ),
    (
        "Tell me about the planet Mars.",
        "Mars is the fourth planet from the Sun. It is called the red planet because its surface "
        "is covered with rusty iron dust.",
    ),
    (
        "How can I learn to play the guitar?",
        "Start with three simple chords and practise changing between them for ten minutes each "
        "day, and then try a song that you like.",
    ),
    (
        "What does a good night's sleep do for the body?",
        "Sleep gives the body time to repair itself, strengthens the memory, and helps the immune "
        "system to fight infections.",
    ),
    (
        "Why is the sea salty?",
        "Rain washes minerals out of the rocks, and rivers carry them to the sea, where the water "
        "evaporates and the salt stays behind.",
    ),
    (
        "What is a quick breakfast for a busy morning?",
        "A bowl of yogurt with fruit and a handful of nuts is quick, healthy, and needs no "
        "cooking at all.",
    ),
    (
        "How do I change a flat bicycle tyre?",
        "Take off the wheel, pull the old tube out of the tyre, put in a new one, and pump it up "
        "slowly.",
    ),
    (
        "What language do people speak in Brazil?",
        "People in Brazil speak Portuguese, because the country was a colony of Portugal for more "
        "than three hundred years.",
    ),
    (
        "Could you explain what a black hole is?",
        "A black hole is a place in space where gravity is so strong that nothing, not even light, "
        "can get out of it.",
    ),
    (
        "My cat keeps waking me up at night. What can I do?",
        "Play with your cat in the evening and feed it late, so that it is tired and full when "
        "you go to bed.",
    ),
    (
        "What is the difference between a frog and a toad?",
        "Frogs have smooth, wet skin and long legs for jumping, while toads have dry, bumpy skin "
        "and shorter legs for walking.",
    ),
    (
        "How many hours are there in a week?",
        "There are 168 hours in a week, because each of the seven days has 24 hours.",
    ),
    (
        "What is a polite way to turn down an invitation?",
        "You can say: thank you so much for thinking of me, but I am afraid I cannot come this "
        "time.",
    ),
    (
        "Why do we yawn?",
        "Nobody knows for certain, but many scientists think that yawning helps to cool the brain "
        "and keeps us awake.",
    ),
    (
        "What was the first animal in space?",
        "The first animals in space were fruit flies, which the United States sent up on a rocket "
        "in 1947.",
    ),
    (
        "How do I keep my houseplants alive?",
        "Give them enough light, water them only when the soil feels dry, and choose pots with "
        "holes in the bottom.",
    ),
)
"""What a user asks, and an answer that a small model could give."""
