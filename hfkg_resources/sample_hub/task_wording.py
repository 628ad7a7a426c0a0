"""How people put what a model does: the wording of tasks in the sample Hub's cards.

Belongs here: phrases by task and by modality, metrics, translations. Does not: whole cards
(`cards`). A phrase completes "This model …", or "… a system that …".
"""

PHRASES = {
    "text-generation": (
        "continues a prompt in fluent prose",
        "answers instructions in a conversation",
        "writes stories, mails and code from a short request",
        "predicts the next token of a text",
        "chats with users over several turns",
        "completes functions from their docstrings",
    ),
    "text-to-image": (
        "paints pictures from a written prompt",
        "renders a described scene in a fixed style",
        "draws characters in the style it was trained on, given a trigger word",
        "turns captions into 1024×1024 pictures",
        "was trained with DreamBooth on a few photos",
    ),
    "text-classification": (
        "tells positive from negative reviews",
        "assigns a topic to a sentence",
        "flags toxic comments",
        "recognises the intent behind a customer's message",
        "decides whether two sentences contradict each other",
        "scores a text from 1 to 5 stars",
    ),
    "reinforcement-learning": (
        "is an agent that lands the module softly",
        "plays the game with a PPO policy",
        "learned by trial and error to keep the pole upright",
        "is a DQN agent for an Atari game",
        "collects rewards in a simulated maze",
    ),
    "automatic-speech-recognition": (
        "transcribes speech",
        "turns recordings of talks into written text",
        "writes down what is said in phone calls",
        "was fine-tuned on hours of read speech",
        "takes 16 kHz speech and returns a transcript",
    ),
    "token-classification": (
        "finds people, places and organisations in a text",
        "marks each word's part of speech",
        "recognises named entities",
        "tags drug names and dosages in clinical notes",
        "restores punctuation word by word",
    ),
    "fill-mask": (
        "guesses the hidden word of a sentence",
        "was pretrained with masked language modelling",
        "is a BERT-style encoder trained to recover masked words",
        "predicts [MASK] from both sides",
    ),
    "image-classification": (
        "tells bird species apart in a photo",
        "sorts pictures into a thousand classes",
        "says what a photo shows",
        "recognises plant diseases from a leaf",
        "is a vision transformer fine-tuned to label photos",
    ),
    "feature-extraction": (
        "maps inputs to dense vectors",
        "gives hidden states to build other models on",
        "is an encoder whose last layer serves as features",
        "produces embeddings for downstream use",
    ),
    "sentence-similarity": (
        "maps sentences to a 384-dimensional space for semantic search",
        "scores how close two sentences are in meaning",
        "embeds paragraphs for clustering",
        "finds paraphrases by cosine distance",
    ),
    "question-answering": (
        "finds the answer to a question in a passage",
        "extracts answer spans",
        "reads a paragraph and points at the answer",
        "was tuned on questions about articles",
    ),
    "translation": (
        "translates between two languages",
        "renders English sentences in another language",
        "carries text over from the source to the target language",
        "is a sequence-to-sequence MT system",
    ),
    "image-text-to-text": (
        "talks about the pictures it is shown",
        "answers a chat message that holds an image",
        "is a vision-language assistant",
        "reads screenshots and follows instructions about them",
    ),
    "summarization": (
        "condenses articles into a few sentences",
        "writes the abstract of a long report",
        "boils down meeting notes",
        "shortens news to a headline and a lead",
    ),
    "text-to-speech": (
        "reads text aloud",
        "speaks with a natural voice",
        "synthesises speech from written input",
        "clones a voice from a few seconds and lets it speak",
    ),
    "object-detection": (
        "draws boxes around cars and people",
        "locates objects in street scenes",
        "finds and counts items in photos",
        "returns bounding boxes with labels",
    ),
    "audio-classification": (
        "tells which sound is heard",
        "recognises the emotion in a voice",
        "sorts clips by genre",
        "spots keywords in short recordings",
    ),
    "image-segmentation": (
        "labels every pixel of a street scene",
        "cuts the foreground out of a picture",
        "outlines organs in scans",
        "separates roads from buildings in aerial photos",
    ),
    "image-to-image": (
        "upscales pictures four times",
        "restores old photographs",
        "turns sketches into paintings",
        "edits a given picture by an instruction",
    ),
    "text-to-video": (
        "makes short clips from a written prompt",
        "animates a described scene",
        "generates five seconds of film from a sentence",
    ),
    "robotics": (
        "controls a robot arm to pick and place",
        "is a policy trained by imitation on teleoperation",
        "maps camera frames to joint positions",
    ),
    "image-to-video": (
        "brings a still picture to life",
        "animates a portrait",
        "continues a frame as a short clip",
    ),
    "depth-estimation": (
        "estimates how far each pixel is",
        "predicts distance from a single photo",
        "gives relative depth maps",
    ),
    "text-to-audio": (
        "composes music from a description",
        "makes sound effects on request",
        "generates instrumental loops from a mood",
    ),
    "zero-shot-classification": (
        "sorts texts into labels it has never seen",
        "classifies without examples, by entailment",
        "takes candidate labels at run time",
    ),
    "tabular-classification": (
        "predicts a category from the columns of a table",
        "decides from records whether a client leaves",
        "is a gradient-boosted classifier over structured rows",
    ),
    "video-classification": (
        "recognises actions in clips",
        "labels what happens in a video",
        "tells sports apart from sixteen frames",
    ),
    "any-to-any": (
        "takes and gives text, pictures and sound",
        "is an omni model: any input, any output",
        "sees, hears and speaks",
    ),
    "text-ranking": (
        "reranks passages for a query",
        "scores query and document pairs as a cross-encoder",
        "orders search results by relevance",
    ),
    "image-to-text": (
        "captions pictures",
        "reads printed lines in scans",
        "describes photos in a sentence",
    ),
    "unconditional-image-generation": (
        "samples butterflies from noise",
        "generates faces without any prompt",
        "is a plain DDPM trained on small pictures",
    ),
    "time-series-forecasting": (
        "forecasts demand for the coming weeks",
        "extends a series of measurements into the future",
        "predicts load from past values",
    ),
    "visual-question-answering": (
        "answers questions about a picture",
        "tells what colour the car in the photo is",
        "replies with a word or two to a question on an image",
    ),
    "zero-shot-image-classification": (
        "matches pictures with candidate captions",
        "is a CLIP-like model with two towers",
        "labels photos without training examples",
    ),
    "tabular-regression": (
        "predicts a price from the columns of a table",
        "estimates a number from structured records",
        "fits wine quality from measurements",
    ),
    "image-feature-extraction": (
        "is a vision backbone that yields image embeddings",
        "encodes pictures for retrieval",
        "gives self-supervised visual features",
    ),
    "audio-to-audio": (
        "removes noise from recordings",
        "separates voices that speak at once",
        "converts one voice into another",
    ),
    "mask-generation": (
        "proposes masks for everything in a picture",
        "segments whatever is clicked on",
        "draws object outlines from a point prompt",
    ),
    "document-question-answering": (
        "answers questions on scanned forms",
        "reads totals off invoices",
        "finds fields in documents by layout and text",
    ),
    "text-to-3d": ("builds meshes from a description", "sculpts assets from words"),
    "image-to-3d": ("reconstructs a mesh from one photo", "lifts pictures to 3D"),
    "graph-ml": (
        "predicts properties of molecules from their graph",
        "classifies nodes of a network",
        "finds missing links in graphs",
    ),
    "keypoint-detection": ("finds body joints in a photo", "marks facial landmarks"),
    "audio-text-to-text": (
        "answers questions about a recording",
        "listens and replies in writing",
    ),
    "visual-document-retrieval": (
        "finds the page that answers a query, from page images",
        "retrieves slides by their looks",
    ),
    "video-text-to-text": ("answers questions about a clip", "describes what happens in a film"),
    "zero-shot-object-detection": (
        "finds whatever is named in a picture",
        "grounds free phrases as boxes",
    ),
    "voice-activity-detection": ("tells speech from silence", "finds who speaks when"),
    "table-question-answering": (
        "answers questions over tables",
        "turns questions into cell picks",
    ),
    "image-text-to-image": ("edits a picture as told", "combines a reference picture and a prompt"),
    "image-text-to-video": ("films a picture as told", "animates a reference frame by a prompt"),
    "text-retrieval": (
        "finds the passage that answers a query",
        "retrieves relevant documents from a large corpus",
        "pairs queries with judged passages",
    ),
    "multiple-choice": (
        "picks the right one of four answers",
        "solves exam questions with options",
        "chooses the plausible ending",
    ),
    "table-to-text": ("puts table rows into sentences", "verbalises structured records"),
    "tabular-to-text": ("describes columns in words", "comments on figures"),
    "video-to-video": ("restyles clips", "smooths and upscales footage"),
}

VAGUE = {
    "nlp": (
        "works with language",
        "is meant for text in the domain above",
        "handles short and long texts",
        "is a transformer for language work",
    ),
    "cv": (
        "works with pictures",
        "is a vision network",
        "was trained on photos of all sorts",
        "is meant for visual content",
    ),
    "audio": ("works with sound", "was trained on recordings", "is meant for voices and noises"),
    "multimodal": ("joins pictures and language", "handles more than one kind of input"),
    "tabular": ("works with structured records", "was fitted on tables"),
    "rl": ("acts in an environment", "was trained in simulation"),
    "other": ("does what its name says", "is an experiment"),
}
"""Phrases that tell the modality at most."""

METRICS = {
    "text-classification": ("Accuracy", "F1"),
    "image-classification": ("Accuracy", "Top-5"),
    "audio-classification": ("Accuracy", "F1"),
    "zero-shot-classification": ("Accuracy", "F1"),
    "video-classification": ("Accuracy", "Top-5"),
    "tabular-classification": ("Accuracy", "AUC"),
    "token-classification": ("Precision", "F1"),
    "question-answering": ("Exact match", "F1"),
    "automatic-speech-recognition": ("WER", "CER"),
    "translation": ("BLEU", "chrF"),
    "summarization": ("ROUGE-1", "ROUGE-L"),
    "text-generation": ("Perplexity", "Accuracy"),
    "fill-mask": ("Perplexity", "Accuracy"),
    "text-to-image": ("FID", "CLIP score"),
    "unconditional-image-generation": ("FID", "IS"),
    "object-detection": ("mAP", "AP50"),
    "image-segmentation": ("mIoU", "Pixel accuracy"),
    "mask-generation": ("mIoU", "Dice"),
    "reinforcement-learning": ("Mean reward", "Std reward"),
    "robotics": ("Success rate", "Steps"),
    "sentence-similarity": ("Spearman", "Pearson"),
    "text-ranking": ("nDCG@10", "MRR@10"),
    "text-to-speech": ("MOS", "RTF"),
    "text-to-audio": ("FAD", "KL"),
    "depth-estimation": ("AbsRel", "RMSE"),
    "tabular-regression": ("RMSE", "R2"),
    "time-series-forecasting": ("MASE", "MAE"),
    "feature-extraction": ("nDCG@10", "Accuracy"),
}
"""What is measured; other tasks give no figures."""

TRANSLATED = {
    "zh": {
        "intro": "{name} 是一个{task}模型，使用{domain}数据训练。",
        "vague": "{name} 是一个实验性模型，欢迎试用并反馈问题。",
        "rest": "请注意，模型可能会产生不准确的结果。\n\n## 训练\n\n使用单张显卡训练了三个周期。",
        "tasks": {
            "text-generation": "文本生成",
            "text-to-image": "文生图",
            "text-classification": "文本分类",
            "automatic-speech-recognition": "语音识别",
            "translation": "机器翻译",
            "image-classification": "图像分类",
            "question-answering": "问答",
            "summarization": "摘要",
        },
    },
    "es": {
        "intro": "{name} es un modelo de {task} entrenado con datos de {domain}.",
        "vague": "{name} es un experimento; se agradecen comentarios.",
        "rest": "El modelo puede equivocarse y repetir sesgos de sus datos.\n\n## Entrenamiento\n\n"
        "Tres épocas en una sola GPU, con la tasa de aprendizaje habitual.",
        "tasks": {
            "text-generation": "generación de texto",
            "text-to-image": "imágenes a partir de texto",
            "text-classification": "clasificación de textos",
            "translation": "traducción automática",
            "automatic-speech-recognition": "reconocimiento del habla",
            "image-classification": "clasificación de imágenes",
            "summarization": "resumen",
            "question-answering": "respuesta a preguntas",
        },
    },
    "fr": {
        "intro": "{name} est un modèle de {task} entraîné sur des données « {domain} ».",
        "vague": "{name} est une expérience ; vos retours sont les bienvenus.",
        "rest": "Le modèle peut se tromper et reproduire les biais de ses données.\n\n"
        "## Entraînement\n\nTrois époques sur une seule carte graphique.",
        "tasks": {
            "text-generation": "génération de texte",
            "text-to-image": "création d'images",
            "text-classification": "classification de textes",
            "translation": "traduction",
            "automatic-speech-recognition": "reconnaissance vocale",
            "image-classification": "classification d'images",
            "summarization": "résumé",
            "question-answering": "questions-réponses",
        },
    },
    "de": {
        "intro": "{name} ist ein Modell für {task}, trainiert mit Daten aus dem Bereich {domain}.",
        "vague": "{name} ist ein Versuch; Rückmeldungen sind willkommen.",
        "rest": "Das Modell kann irren und gibt Vorurteile seiner Daten wieder.\n\n## Training\n\n"
        "Drei Epochen auf einer einzigen Grafikkarte.",
        "tasks": {
            "text-generation": "Textgenerierung",
            "text-to-image": "Bilder aus Text",
            "text-classification": "Textklassifikation",
            "translation": "Übersetzung",
            "automatic-speech-recognition": "Spracherkennung",
            "image-classification": "Bildklassifikation",
            "summarization": "Zusammenfassungen",
            "question-answering": "das Beantworten von Fragen",
        },
    },
}
"""Short cards in other languages; tasks without a name there go by their English one."""
